"""What is cut off the end of a log: looked at, and kept aside."""

from __future__ import annotations

import contextlib
import logging
import os
from itertools import pairwise

from diskkv.errors import Damaged

# A disk writes such pieces whole, if at all.
SECTOR = 512
# So many ends that were cut off are kept, the last ones.
KEPT = 4
SUFFIX = ".cut"

journal = logging.getLogger("diskkv")


def torn(data: bytes, offset: int) -> bool:
    """Whether some sector's share of what lies at an offset of a file is all zeros: what a file has grown by and was not written is."""
    first = SECTOR - offset % SECTOR
    edges = [0, *range(first, len(data), SECTOR), len(data)]
    return any(not data[low:high].strip(b"\0") for low, high in pairwise(edges))


def keep_aside(file: str, offset: int) -> str:
    """Keep what a file has from an offset on in a file of its own; its name, empty when there is nothing but zeros or it can't be kept.

    Damaged when it can't be read.
    """
    try:
        with open(file, "rb") as source:
            source.seek(offset)
            rest = source.read()
    except OSError as error:
        raise Damaged(f"{file}: what follows offset {offset} can't be read: {error}") from None
    if not rest.strip(b"\0"):
        return ""
    name = f"{file}.{offset}{SUFFIX}"
    try:
        with open(name, "wb") as copy:
            copy.write(rest)
            copy.flush()
            os.fsync(copy.fileno())
    except OSError as error:
        journal.warning("what is cut off %(file)s can't be kept: %(error)s", {"file": file, "error": error})
        with contextlib.suppress(OSError):
            os.unlink(name)
        return ""
    directory = os.path.dirname(file)
    kept = (os.path.join(directory, entry) for entry in os.listdir(directory) if entry.endswith(SUFFIX))
    old = sorted((os.stat(path).st_mtime_ns, path) for path in kept)
    for _, path in old[:-KEPT]:
        with contextlib.suppress(OSError):
            os.unlink(path)
    return name
