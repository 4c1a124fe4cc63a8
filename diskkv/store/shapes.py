"""How large a collection Redis keeps in one piece (`*-max-listpack-*`, `set-max-intset-entries`): what OBJECT ENCODING judges by.

How diskkv stores a value does not depend on these, but sets of integers that Redis would keep as an intset are shown in numeric order.
"""

from __future__ import annotations

from dataclasses import dataclass

# The bytes that list-max-listpack-size -1 to -5 allow; lower numbers are as -5.
LIST_BYTES = (4096, 8192, 16384, 32768, 65536)
# The most bytes in a list's one piece when its elements are counted.
LIST_SAFETY = 8192


@dataclass(slots=True)
class Shapes:
    """One attribute per setting, of the same name less `max_listpack`."""

    hash_entries: int = 128
    hash_value: int = 64
    list_size: int = -2
    set_intset: int = 512
    set_entries: int = 128
    set_value: int = 64
    zset_entries: int = 128
    zset_value: int = 64

    def list_limits(self) -> tuple[int, int]:
        """The most elements and the most bytes of a list that is one listpack."""
        size = self.list_size
        if size >= 0:
            return max(size, 1), LIST_SAFETY
        most = LIST_BYTES[min(-size, len(LIST_BYTES)) - 1]
        return most, most


# setting -> attribute
SHAPING = {
    "hash-max-listpack-entries": "hash_entries",
    "hash-max-listpack-value": "hash_value",
    "list-max-listpack-size": "list_size",
    "set-max-intset-entries": "set_intset",
    "set-max-listpack-entries": "set_entries",
    "set-max-listpack-value": "set_value",
    "zset-max-listpack-entries": "zset_entries",
    "zset-max-listpack-value": "zset_value",
}
