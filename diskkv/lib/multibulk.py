"""Arrays of bulk strings, which both the wire and the log are made of."""

from __future__ import annotations

from collections.abc import Sequence

# What stands before an item, by its length.
HEADS = [b"$%d\r\n" % size for size in range(4096)]
# The same with the end of the item before, for joining many.
LINKS = [b"\r\n" + head for head in HEADS]
_link = LINKS.__getitem__
# More than there can be.
UNBOUNDED = 1 << 62


class TooLong(Exception):
    """What was to be encoded takes more bytes than it may. Found out before they are made: a few words can ask for terabytes."""


def encode_command(argv: Sequence[bytes]) -> bytes:
    """A request as clients send it and the log keeps it: an array of bulk strings."""
    made = command_pieces(argv)
    return made if isinstance(made, bytes) else b"".join(made)


def command_pieces(argv: Sequence[bytes]) -> bytes | list[bytes]:
    """The same; in pieces still to be joined where an argument is long, so that whoever joins more than this copies it once."""
    try:
        if len(argv) == 3:
            first, second, third = argv
            heads = HEADS[len(first)], LINKS[len(second)], LINKS[len(third)]
            return b"*3\r\n%b%b%b%b%b%b\r\n" % (heads[0], first, heads[1], second, heads[2], third)
        return b"*%d%b\r\n" % (len(argv), b"".join([LINKS[len(arg)] + arg for arg in argv]))
    except IndexError:  # an argument is longer than the table
        return _pieces(argv)


def encode_bulks(items: Sequence[bytes], most: int = UNBOUNDED) -> bytes:
    """An array whose items are all bulk strings; TypeError if one isn't `bytes`, TooLong if they have more bytes than `most`."""
    count = len(items)
    if not count:
        return b"*0\r\n"
    size = len(items[0])
    if count > 4 and size < 4096 and len(items[-1]) == size == len(items[count // 2]) and len(set(map(len, items))) == 1:
        # All of one length, which is common and takes half of the time.
        if count * size > most:
            raise TooLong
        link = LINKS[size]
        return b"*%d%b%b\r\n" % (count, link, link.join(items))
    if count * len(HEADS) > most and sum(map(len, items)) > most:
        raise TooLong
    return b"".join(_pieces(items, most))


def _pieces(items: Sequence[bytes], most: int = UNBOUNDED) -> list[bytes]:
    count = len(items)
    try:
        links = list(map(_link, map(len, items)))
    except IndexError:  # an item is longer than the table
        if sum(map(len, items)) > most:
            raise TooLong from None
        links = [b"\r\n$%d\r\n" % len(item) for item in items]
    links[0] = b"*%d%b" % (count, links[0])
    pieces: list[bytes] = [b""] * (2 * count + 1)
    pieces[0:-1:2] = links
    pieces[1::2] = items
    pieces[-1] = b"\r\n"
    return pieces
