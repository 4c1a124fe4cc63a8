"""The longest common subsequence of two byte strings, and the ranges where it matches."""

from __future__ import annotations

Range = tuple[int, int]


def longest_common_subsequence(a: bytes, b: bytes) -> tuple[bytes, list[tuple[Range, Range]]]:
    """The subsequence, and its contiguous matches from the last to the first as ((a first, a last), (b first, b last)).

    Where several subsequences are longest it is the one that LCS of Redis returns. Redis fills a table of lengths L, L[i, j] for the
    first i bytes of a and the first j of b; here a bit says where a row of it grows, and a row is one integer (Hyyrö's algorithm):
    time and memory are a 64th and a 32nd of len(a) * len(b).
    """
    wide = len(b) > len(a)
    rows = _rows(a, b) if wide else _rows(b, a)
    found = bytearray()
    matches: list[tuple[Range, Range]] = []
    i, j = len(a), len(b)
    a_last = b_last = 0

    def length(i: int, j: int) -> int:
        row, count = (rows[i], j) if wide else (rows[j], i)
        return (row & ((1 << count) - 1)).bit_count()

    while i and j:
        if a[i - 1] == b[j - 1]:
            a_last, b_last = i - 1, j - 1
            while i and j and a[i - 1] == b[j - 1]:
                found.append(a[i - 1])
                i, j = i - 1, j - 1
            matches.append(((i, a_last), (j, b_last)))
        elif length(i, j) > length(i, j - 1):
            # It stays so for all i down to the next match.
            i = a.rfind(b[j - 1], 0, i) + 1
        elif wide:
            # L[i, j] stays the same for all j down to the next match or growth.
            j = max(b.rfind(a[i - 1], 0, j) + 1, (rows[i] & ((1 << j) - 1)).bit_length())
        else:
            j -= 1
    return bytes(reversed(found)), matches


def _rows(short: bytes, long: bytes) -> list[int]:
    """For each number of bytes of the one, as bits, after which bytes of the other the common subsequence is longer by one."""
    everywhere = (1 << len(long)) - 1
    backwards = long[::-1]
    places = {byte: _places(byte, backwards) for byte in set(short)}
    level = everywhere
    rows = [0]
    for byte in short:
        met = level & places[byte]
        level = ((level + met) | (level - met)) & everywhere
        rows.append(level ^ everywhere)
    return rows


def _places(byte: int, backwards: bytes) -> int:
    """A bit for each place where the byte stands in a string that is given backwards."""
    digits = bytearray(b"0" * 256)
    digits[byte] = ord("1")
    return int(b"0" + backwards.translate(digits), 2)
