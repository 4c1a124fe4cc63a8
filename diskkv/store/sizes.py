"""How the memory budget is divided."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """How one memory budget is divided, in bytes."""

    cache: int
    block_cache: int
    write_buffer: int
    dirty: int

    @classmethod
    def of(cls, budget: int) -> Sizes:
        """LevelDB gets an eighth for blocks and two write buffers of at most 4 MiB (measured: the cheapest per put); a checkpoint's
        batch an eighth; objects the rest.

        When a fifth of it is dirty a checkpoint begins: it will be in memory once more as LevelDB's batch, and again in its memtable.
        """
        write_buffer = max(256 << 10, min(4 << 20, budget // 16))
        block_cache = max(256 << 10, min(64 << 20, budget // 8))
        batch = budget // 8
        return cls(max(budget - block_cache - 2 * write_buffer - batch, budget // 4), block_cache, write_buffer, budget // 5)
