"""The log as far as it can be read: what is in order before a hole, and, if asked for, what is in order behind it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from diskkv.repair.findings import Outcome
from diskkv.store.log import HEADER, LONGEST_HEADER, Position, checked, segment_name, segments


def ticks(path: str, start: Position | None, outcome: Outcome, *, behind_holes: bool) -> Iterator[bytes]:
    """The ticks from a position on; without one, of all segments. What is left out is noted in `outcome`."""
    numbers = [number for number in segments(path) if start is None or number >= start.segment] if os.path.isdir(path) else []
    broken = False
    expected = start.segment if start is not None else numbers[0] if numbers else 0
    if start is not None and (not numbers or numbers[0] != start.segment):
        broken = True
        outcome.damage.append(f"{segment_name(path, start.segment)}: is missing: what was done after the last checkpoint is lost")
        expected = numbers[0] if numbers else 0
    length: int | None = None
    for number in numbers:
        if number != expected:
            broken = True
            outcome.damage.append(f"{segment_name(path, expected)}: is missing")
        expected = number + 1
        with open(segment_name(path, number), "rb") as file:
            data = file.read()
        offset = start.offset if start is not None and number == start.segment else 0
        if offset > len(data):
            broken = True
            outcome.damage.append(f"{segment_name(path, number)}: {len(data):,} bytes, but the last checkpoint was taken at {offset:,}")
        while offset < len(data):
            found = tick_at(data, offset)
            if found is None:
                broken = True
                after = next_tick(data, offset + 1)
                outcome.damage.append(
                    f"{segment_name(path, number)}: {(after or len(data)) - offset:,} bytes from {offset:,} on can't be read"
                )
                if after is None:
                    break
                offset = after
                continue
            tick, end, before = found
            if offset == 0 and before is not None and length is not None and before != length:
                broken = True
                outcome.damage.append(f"{segment_name(path, number - 1)}: has lost its end")
            if broken and not behind_holes:
                outcome.left_out += 1
            else:
                yield tick
            offset = end
        length = len(data)


def tick_at(data: bytes, offset: int) -> tuple[bytes, int, int | None] | None:
    """The tick at an offset of a segment, where it ends, and how long it says the segment before was; None if it can't be read."""
    match = HEADER.match(data, offset, offset + LONGEST_HEADER)
    if match is None:
        return None
    end = match.end() + int(match[1])
    tick = checked(match, data[match.end() : end], offset)
    return None if tick is None else (tick, end, None if match[4] is None else int(match[4]))


def next_tick(data: bytes, offset: int) -> int | None:
    """Where the next tick begins that can be read."""
    for match in HEADER.finditer(data, offset):
        if tick_at(data, match.start()) is not None:
            return match.start()
    return None
