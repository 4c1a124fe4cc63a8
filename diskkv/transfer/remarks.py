"""What an RDB file says about itself."""

from __future__ import annotations

import sys

from diskkv.clock import system_clock

# What this diskkv claims to be to clients is a Redis of this version; Redis prints it when it loads the file.
VERSION = b"7.2.4"


def remarks() -> list[tuple[bytes, bytes]]:
    """Who wrote it, and when."""
    return [
        (b"redis-ver", VERSION),
        (b"redis-bits", b"64" if sys.maxsize > 2**32 else b"32"),
        (b"ctime", b"%d" % (system_clock() // 1000)),
        (b"used-mem", b"0"),
        (b"aof-base", b"0"),
    ]
