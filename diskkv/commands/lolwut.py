"""LOLWUT: a picture, and the version."""

from __future__ import annotations

from diskkv.commands.connection import REDIS_VERSION
from diskkv.dispatch.args import integer
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import FAST, READONLY, group
from diskkv.replies import Verbatim

command = group("server")

WIDE, HIGH = 48, 14
SHADES = " .:-=+*#%@"


@command("LOLWUT [VERSION version]", READONLY | FAST, since="5.0.0")
def lolwut(ctx: Session, *words: bytes) -> Verbatim:
    """Return a disk of strata, each time another one, and the version."""
    if len(words) >= 2 and words[0].upper() == b"VERSION":
        integer(words[1])
    rng = ctx.random
    rings = [rng.randrange(len(SHADES)) for _ in range(12)]
    lines = []
    for y in range(HIGH):
        line = ""
        for x in range(WIDE):
            # Characters are about twice as high as wide.
            away = ((x - WIDE / 2 + 0.5) ** 2 / 4 + (y - HIGH / 2 + 0.5) ** 2) ** 0.5
            ring = int(away / (HIGH / 2) * len(rings))
            line += SHADES[rings[ring]] if 0 < ring < len(rings) else " "
        lines.append(line.rstrip())
    return Verbatim("\n".join([*lines, "", f"Redis ver. {REDIS_VERSION}", ""]).encode())
