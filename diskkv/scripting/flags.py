"""What a script says of itself in its first line, and the flags of scripts and functions."""

from __future__ import annotations

from diskkv.dispatch.args import quoted
from diskkv.errors import CommandError
from diskkv.lib.words import split_words

NO_WRITES = 1
ALLOW_OOM = 2
ALLOW_STALE = 4
NO_CLUSTER = 8
ALLOW_CROSS_SLOT = 16
# ours: a script without a first line of that kind
EVAL_COMPATIBLE = 32

FLAGS = {
    b"no-writes": NO_WRITES,
    b"allow-oom": ALLOW_OOM,
    b"allow-stale": ALLOW_STALE,
    b"no-cluster": NO_CLUSTER,
    b"allow-cross-slot-keys": ALLOW_CROSS_SLOT,
}


def flag_names(flags: int) -> list[bytes]:
    """The names of flags, in Redis' order."""
    return [name for name, bit in FLAGS.items() if flags & bit]


def read_shebang(text: bytes) -> tuple[bytes, int]:
    """A script without its first line's words, but with its line break, and its flags."""
    if not text.startswith(b"#!"):
        return text, EVAL_COMPATIBLE
    line, newline, _ = text.partition(b"\n")
    if not newline or b"\0" in line:
        raise CommandError("Invalid script shebang")
    words = split_words(line)
    if not words:
        raise CommandError("Invalid engine in script shebang")
    if words[0] != b"#!lua":
        raise CommandError(f"Unexpected engine in script shebang: {quoted(words[0])}")
    flags = 0
    for word in words[1:]:
        if not word.startswith(b"flags="):
            raise CommandError(f"Unknown lua shebang option: {quoted(word)}")
        for name in word[6:].split(b",") if len(word) > 6 else ():
            if name not in FLAGS:
                raise CommandError(f"Unexpected flag in script shebang: {quoted(name)}")
            flags |= FLAGS[name]
    return text[len(line) :], flags
