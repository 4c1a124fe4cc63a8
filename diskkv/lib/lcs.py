"""The longest common subsequence of two byte strings, and the ranges where it matches."""

from __future__ import annotations

from array import array

Range = tuple[int, int]


def longest_common_subsequence(a: bytes, b: bytes) -> tuple[bytes, list[tuple[Range, Range]]]:
    """The subsequence, and its contiguous matches from the last to the first as ((a first, a last), (b first, b last)).

    Where several subsequences are longest it is the one that LCS of Redis returns. Time and memory are len(a) * len(b).
    """
    width = len(b) + 1
    lengths = array("I", bytes(4 * width * (len(a) + 1)))
    for i in range(1, len(a) + 1):
        char = a[i - 1]
        row, above = i * width, (i - 1) * width
        for j in range(1, width):
            if char == b[j - 1]:
                lengths[row + j] = lengths[above + j - 1] + 1
            else:
                up, left = lengths[above + j], lengths[row + j - 1]
                lengths[row + j] = up if up > left else left
    found = bytearray()
    matches: list[tuple[Range, Range]] = []
    i, j = len(a), len(b)
    run: list[int] | None = None
    while i and j:
        if a[i - 1] == b[j - 1]:
            found.append(a[i - 1])
            if run is not None and run[0] == i and run[2] == j:
                run[0], run[2] = i - 1, j - 1
            else:
                if run is not None:
                    matches.append(((run[0], run[1]), (run[2], run[3])))
                run = [i - 1, i - 1, j - 1, j - 1]
            i, j = i - 1, j - 1
        elif lengths[(i - 1) * width + j] > lengths[i * width + j - 1]:
            i -= 1
        else:
            j -= 1
    if run is not None:
        matches.append(((run[0], run[1]), (run[2], run[3])))
    return bytes(reversed(found)), matches
