"""diskkv: Redis on disk."""
