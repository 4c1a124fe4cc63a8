"""Requests out of bytes that arrive in pieces.

hiredis is not used: it takes what Redis refuses (`*1\\r\\n+PING\\r\\n` looks to its caller like a bulk string), reserves
17 GB for the twelve bytes `*2147483647`, and doesn't say where a request ended. With the checks that this needs it was no
faster than what stands here.
"""

from __future__ import annotations

from diskkv.errors import ProtocolError
from diskkv.lib.numbers import parse_int
from diskkv.lib.words import split_words

_HEADS = [b"$%d" % size for size in range(4096)]
_head = _HEADS.__getitem__
_SIZES = {head: size for size, head in enumerate(_HEADS)}
_COUNTS = {b"*%d" % count: count for count in range(1, 1025)}

# In a request that comes in many packets so many bytes are tried at once. After a try that gained little so many arguments are read one
# by one, after another twice as many.
_WINDOW = len(_HEADS) - 1
_RESPITE, _LONGEST_RESPITE = 16, 4096
# What an argument takes in memory besides its bytes: the object and its place in a list.
_ARGUMENT = 41
_UNAUTHENTICATED_ARGS = 10
_UNAUTHENTICATED_BULK = 16384


def _alone(parts: list[bytes]) -> list[bytes] | None:
    """The request of two to four arguments that a packet is, cut at every CRLF, as most are. (A loop takes longer to see it.)"""
    heads = _HEADS
    end = len(parts)
    if end == 6:
        count, head1, arg1, head2, arg2, rest = parts
        if count == b"*2" and not rest and len(arg1) < 4096 > len(arg2) and head1 == heads[len(arg1)] and head2 == heads[len(arg2)]:
            return [arg1, arg2]
    elif end == 8:
        count, head1, arg1, head2, arg2, head3, arg3, rest = parts
        if (
            count == b"*3" and not rest and len(arg1) < 4096 > len(arg2) and len(arg3) < 4096
            and head1 == heads[len(arg1)] and head2 == heads[len(arg2)] and head3 == heads[len(arg3)]
        ):  # fmt: skip
            return [arg1, arg2, arg3]
    elif end == 10:
        count, head1, arg1, head2, arg2, head3, arg3, head4, arg4, rest = parts
        if (
            count == b"*4" and not rest and len(arg1) < 4096 > len(arg2) and len(arg3) < 4096 > len(arg4)
            and head1 == heads[len(arg1)] and head2 == heads[len(arg2)] and head3 == heads[len(arg3)] and head4 == heads[len(arg4)]
        ):  # fmt: skip
            return [arg1, arg2, arg3, arg4]
    return None


class RequestParser:
    """Turns what one client sends into requests, each a list of `bytes` that is never empty.

    Three ways lead to the same result. A packet is first cut at every CRLF: if the pieces have the very lengths that were
    announced, they are the arguments. A value with a CRLF in it, or a long one, doesn't fit; from there on the packet is walked
    by the lengths. Inline commands, incomplete requests and errors are read with care, as Redis does, and only this last way
    keeps its place between packets. Each way is tried once per packet, so that the time is linear. The limits may be changed
    at any time; `max_bulk` below 4 KiB and `max_multibulk` below 1024 are not enforced on every way.
    """

    def __init__(self, *, max_inline: int = 64 * 1024, max_bulk: int = 512 * 1024 * 1024, max_multibulk: int = 2**31 - 1) -> None:
        self.max_inline = max_inline
        self.max_bulk = max_bulk
        self.max_multibulk = max_multibulk
        #: While False, requests are limited in size, and `feed` gives them one at a time, since AUTH may be among them.
        self.authenticated = True
        #: Whether `feed(b"")` has something to give, or to raise, that is waiting.
        self.more = False
        #: Whether what the last `feed` took is, byte for byte, `encode_command` of each request that it gave, one after the other.
        self.verbatim = False
        self._held = bytearray()
        self._at = 0  # what stands before has been used
        self._argv: list[bytes] = []  # of the request that has begun
        self._missing = 0  # arguments that it still needs
        self._bulk = -1  # size of the next of them, once known
        self._begun = 0  # bytes on the wire that are in `_argv`
        self._respite = 0
        self._next_respite = _RESPITE
        self._error: ProtocolError | None = None

    def buffered(self) -> int:
        """How many of the bytes received are not yet given out as requests."""
        return len(self._held) + self._begun

    def memory(self) -> int:
        """How much memory those take: an argument of one byte takes that of some forty."""
        return len(self._held) + self._begun + _ARGUMENT * len(self._argv)

    def alone(self, data: bytes) -> list[bytes] | None:
        """The one request that the next bytes are, if they are one and no more, a short one written as most clients write it, and nothing
        has come before that belongs to it. It has then been given out; else the bytes are to be fed.
        """
        if self._held or self._missing or self.more:
            return None
        parts = data.split(b"\r\n")
        if len(parts) <= 10:
            return _alone(parts)
        argv = parts[2:-1:2]
        if parts[-1] or _COUNTS.get(parts[0]) != len(argv) or len(parts) != 2 * len(argv) + 2 or max(map(len, argv)) >= len(_HEADS):
            return None
        return argv if parts[1:-1:2] == list(map(_head, map(len, argv))) else None

    def feed(self, data: bytes) -> list[list[bytes]]:
        """Takes the next bytes and returns the requests that they complete.

        If `more` is set afterwards, call `feed(b"")` once these requests have been executed. Raises `ProtocolError`, whose
        text is the one to send, when there is no complete request before the error; it then does so for ever.
        """
        self.verbatim = False
        if self._held or self._missing or self.more or not self.authenticated:
            self._held += data
            requests: list[list[bytes]] = []
            self._read_held(1, requests)
            if self.more or not requests or not self._held:
                return requests
            data = bytes(self._held)
            self._held.clear()
            fresh = False
        else:
            requests = []
            fresh = True
        heads = _HEADS
        middle = len(data) >> 1
        # To look for two bytes costs 0.8 ns a byte, and is in vain if long values fill the packet; to look for one, 0.01 ns.
        long = middle > 2048 and data.find(b"\n", middle, middle + 1024) < 0
        parts = [data] if long else data.split(b"\r\n")
        end = len(parts) - 1
        if fresh and end < 10 and (argv := _alone(parts)) is not None:
            self.verbatim = True
            return [argv]
        at = 0
        try:
            while at < end:
                head = parts[at]
                if head == b"*3" and at + 7 <= end:
                    _, head1, arg1, head2, arg2, head3, arg3 = parts[at : at + 7]
                    if head1 != heads[len(arg1)] or head2 != heads[len(arg2)] or head3 != heads[len(arg3)]:
                        break
                    requests.append([arg1, arg2, arg3])
                    at += 7
                elif head == b"*2" and at + 5 <= end:
                    _, head1, arg1, head2, arg2 = parts[at : at + 5]
                    if head1 != heads[len(arg1)] or head2 != heads[len(arg2)]:
                        break
                    requests.append([arg1, arg2])
                    at += 5
                elif head == b"*4" and at + 9 <= end:
                    _, head1, arg1, head2, arg2, head3, arg3, head4, arg4 = parts[at : at + 9]
                    if head1 != heads[len(arg1)] or head2 != heads[len(arg2)] or head3 != heads[len(arg3)] or head4 != heads[len(arg4)]:
                        break
                    requests.append([arg1, arg2, arg3, arg4])
                    at += 9
                else:
                    after = at + 2 * _COUNTS[head] + 1
                    argv = parts[at + 2 : after : 2]
                    if after > end or parts[at + 1 : after : 2] != list(map(_head, map(len, argv))):
                        break
                    requests.append(argv)
                    at = after
        except (KeyError, IndexError):
            pass  # no array of a usual size, or a long argument
        if at == end and not parts[end]:
            self.verbatim = fresh
            return requests
        rest = b"\r\n".join(parts[at:]) if at else data
        used = self._walk(rest, requests)
        if used < len(rest):
            self._held += rest[used:] if used else rest
            self._read_held(0, requests)
        return requests

    def _walk(self, data: bytes, requests: list[list[bytes]]) -> int:
        """Adds well-formed requests as long as there are any; returns how much of `data` they took."""
        used = 0
        try:
            while True:
                found = data.index(b"\r", used)
                argv = []
                at = found + 2
                for _ in range(_COUNTS[data[used:found]]):
                    found = data.index(b"\r", at)
                    head = data[at:found]
                    size = _SIZES.get(head)
                    if size is None:
                        size = parse_int(head[1:])
                        if size is None or not 0 <= size <= self.max_bulk or head[0] != 0x24:
                            return used
                    at = found + size + 4
                    if at > len(data):
                        return used
                    argv.append(data[found + 2 : at - 2])
                requests.append(argv)
                used = at
        except (KeyError, ValueError):
            return used

    def _read_held(self, limit: int, requests: list[list[bytes]]) -> None:
        """Reads requests with care, `limit` of them unless that is 0, adds them, and forgets their bytes."""
        self.more = False
        if self._error is None:
            try:
                while (argv := self._read_request()) is not None:
                    requests.append(argv)
                    limit -= 1
                    if not limit:
                        self.more = not self.authenticated and self._at < len(self._held)
                        break
            except ProtocolError as error:
                self._error = error
            del self._held[: self._at]
            self._at = 0
        if self._error is not None:
            self.more = True
            if not requests:
                raise self._error

    def _read_request(self) -> list[bytes] | None:
        while self._missing or self._at < len(self._held):
            if self._missing:
                return self._read_arguments()
            if self._held[self._at] != 0x2A:  # *
                line = self._line(b"\n", "too big inline request")
                if line is None:
                    return None
                argv = split_words(line.removesuffix(b"\r"))
                if argv is None:
                    raise _error("unbalanced quotes in request")
                self._at += len(line) + 1
                if argv:
                    return argv
            elif not self._read_count():
                return None
        return None

    def _read_count(self) -> bool:
        line = self._line(b"\r", "too big mbulk count string")
        if line is None:
            return False
        count = parse_int(line[1:])
        if count is None or count > self.max_multibulk:
            raise _error("invalid multibulk length")
        if count > _UNAUTHENTICATED_ARGS and not self.authenticated:
            raise _error("unauthenticated multibulk length")
        self._at += len(line) + 2
        self._missing = max(count, 0)
        if self._missing:
            self._begun = len(line) + 2
        return True

    def _read_arguments(self) -> list[bytes] | None:
        """The request that has begun, once it is complete."""
        while self._missing:
            if self._bulk < 0:
                if self._missing > 1 and not self._respite:
                    self._read_short_arguments()
                    if not self._missing:
                        break
                elif self._respite:
                    self._respite -= 1
                if not self._read_size():
                    return None
            end = self._at + self._bulk
            if len(self._held) < end + 2:
                return None
            # Like Redis, this doesn't look at the two bytes that ought to be a CRLF.
            self._argv.append(bytes(memoryview(self._held)[self._at : end]))
            self._at = end + 2
            self._begun += self._bulk + 2
            self._bulk = -1
            self._missing -= 1
        argv, self._argv, self._begun = self._argv, [], 0
        return argv

    def _read_short_arguments(self) -> None:
        """Those that stand next as anybody would send them, all in one."""
        parts = bytes(memoryview(self._held)[self._at : self._at + _WINDOW]).split(b"\r\n")
        count = min((len(parts) - 1) // 2, self._missing)
        heads, argv = parts[: 2 * count : 2], parts[1 : 2 * count : 2]
        expected = [_HEADS[len(arg)] for arg in argv]
        if heads != expected:
            count = next(at for at, head in enumerate(heads) if head != expected[at])
            heads, argv = heads[:count], argv[:count]
        if count < _RESPITE:
            self._respite = self._next_respite
            self._next_respite = min(2 * self._next_respite, _LONGEST_RESPITE)
        else:
            self._next_respite = _RESPITE
        size = 4 * count + sum(map(len, heads)) + sum(map(len, argv))
        self._argv += argv
        self._at += size
        self._begun += size
        self._missing -= count

    def _read_size(self) -> bool:
        line = self._line(b"\r", "too big bulk count string")
        if line is None:
            return False
        if self._held[self._at] != 0x24:  # $
            got = bytes(self._held[self._at : self._at + 1]).replace(b"\r", b" ").replace(b"\n", b" ")
            raise _error(f"expected '$', got '{got.decode('utf-8', 'surrogateescape')}'")
        size = parse_int(line[1:])
        if size is None or not 0 <= size <= self.max_bulk:
            raise _error("invalid bulk length")
        if size > _UNAUTHENTICATED_BULK and not self.authenticated:
            raise _error("unauthenticated bulk length")
        self._at += len(line) + 2
        self._begun += len(line) + 2
        self._bulk = size
        return True

    def _line(self, end: bytes, too_big: str) -> bytes | None:
        """The bytes before the next `end`, or None if it isn't there yet.

        After a CR one more byte must be there. A NUL hides all that follows, as it does in Redis, which looks for the end
        with `strchr`.
        """
        held, start = self._held, self._at
        found = held.find(end, start, start + self.max_inline + 1)
        if found < 0 or held.find(b"\0", start, found) >= 0:
            if len(held) - start > self.max_inline:
                raise _error(too_big)
            return None
        if end == b"\r" and found + 1 == len(held):
            return None
        return bytes(held[start:found])


def _error(text: str) -> ProtocolError:
    return ProtocolError("Protocol error: " + text)
