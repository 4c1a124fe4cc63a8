"""Every error that a client or a caller can meet, grouped by who raises it.

A `CommandError` is answered to the client as `-CODE text`; its texts are Redis' own. Nothing decides anything by an error's text.
"""

from __future__ import annotations


class DiskkvError(Exception):
    """The root of all errors that diskkv raises on purpose."""


# -- answered to clients

# `CommandError` and all that are derived from it, in whatever module: an exact set, because isinstance costs three times as much.
ERRORS: set[type] = set()


class CommandError(DiskkvError):
    """A command's error reply: a code word and a text, sent as `-CODE text`."""

    code = "ERR"
    text = "error"

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        ERRORS.add(cls)

    def __init__(self, text: str | None = None, *, code: str | None = None) -> None:
        if text is not None:
            self.text = text
        if code is not None:
            self.code = code
        super().__init__(f"{self.code} {self.text}")

    def line(self) -> bytes:
        """The reply's line without the leading `-` and the final CRLF. As in Redis, line breaks at its ends go, others become spaces."""
        text = self.text.strip("\r\n").replace("\r", " ").replace("\n", " ")
        return f"{self.code} {text}".encode("utf-8", "surrogateescape")


ERRORS.add(CommandError)


class WrongType(CommandError):
    code, text = "WRONGTYPE", "Operation against a key holding the wrong kind of value"


class BadSyntax(CommandError):
    text = "syntax error"


class NoSuchGroup(CommandError):
    code = "NOGROUP"

    def __init__(self, key: bytes, name: bytes, *, in_xreadgroup: bool = False) -> None:
        # As a C string: up to the first zero byte.
        words = [word.partition(b"\0")[0].decode("utf-8", "surrogateescape") for word in (key, name)]
        text = f"No such key '{words[0]}' or consumer group '{words[1]}'"
        super().__init__(text + " in XREADGROUP with GROUP option" if in_xreadgroup else text)


class NotInteger(CommandError):
    text = "value is not an integer or out of range"


class NotFloat(CommandError):
    text = "value is not a valid float"


class NotPositive(CommandError):
    text = "value is out of range, must be positive"


class IndexOutOfRange(CommandError):
    text = "index out of range"


class NoSuchKey(CommandError):
    text = "no such key"


class BusyKey(CommandError):
    code, text = "BUSYKEY", "Target key name already exists."


class Overflow(CommandError):
    text = "increment or decrement would overflow"


class NanOrInfinity(CommandError):
    text = "increment would produce NaN or Infinity"


class StringTooLong(CommandError):
    text = "string exceeds maximum allowed size (proto-max-bulk-len)"


class WrongArity(CommandError):
    def __init__(self, name: str) -> None:
        super().__init__(f"wrong number of arguments for '{name}' command")


class UnknownCommand(CommandError):
    """As in Redis, the text quotes the name and the beginning of the arguments."""

    def __init__(self, argv: list[bytes]) -> None:
        quoted = b""
        for arg in argv[1:]:
            if len(quoted) >= 128:
                break
            quoted += b"'%b' " % _printed(arg, 128 - len(quoted))
        text = b"unknown command '%b', with args beginning with: %b" % (_printed(argv[0], 128), quoted)
        super().__init__(text.decode("utf-8", "surrogateescape"))


def _printed(raw: bytes, most: int) -> bytes:
    """A text as C prints it: up to its first NUL."""
    return raw.partition(b"\0")[0][:most]


class NoAuth(CommandError):
    code, text = "NOAUTH", "Authentication required."


class NoPermission(CommandError):
    code = "NOPERM"


class WrongPass(CommandError):
    code, text = "WRONGPASS", "invalid username-password pair or user is disabled."


class NoProto(CommandError):
    code, text = "NOPROTO", "unsupported protocol version"


class ExecAborted(CommandError):
    code, text = "EXECABORT", "Transaction discarded because of previous errors."


class Unblocked(CommandError):
    code, text = "UNBLOCKED", "client unblocked via CLIENT UNBLOCK"


class ClusterDisabled(CommandError):
    text = "This instance has cluster support disabled"


class OutOfMemory(CommandError):
    code, text = "OOM", "command not allowed when used memory > 'maxmemory'."


class DiskQuota(OutOfMemory):
    text = "command not allowed when the store takes more space than 'max-disk-size'."


class LogFailed(CommandError):
    """The log can't be written (disk full, I/O error): the change was undone, reads go on."""

    code = "MISCONF"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Errors writing to the AOF file: {reason}")


class Unreadable(CommandError):
    """What a command needs can't be read from the disk: damage, or an I/O error. The rest goes on being served."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"damaged: {what} can't be read from the disk: {reason}")


class NoScript(CommandError):
    code, text = "NOSCRIPT", "No matching script. Please use EVAL."


class Busy(CommandError):
    """A script runs for longer than busy-reply-threshold."""

    code = "BUSY"

    def __init__(self, word: str) -> None:
        super().__init__(f"Redis is busy running a script. You can only call {word} KILL or SHUTDOWN NOSAVE.")


class ScriptError(CommandError):
    """What a script failed with. `counted`: the command that failed in it has entered the statistics of errors already."""

    def __init__(self, raw: bytes, *, counted: bool = False) -> None:
        code, _, text = raw.decode("utf-8", "surrogateescape").partition(" ")
        super().__init__(text, code=code)
        self.counted = counted
        self._raw = raw

    def line(self) -> bytes:
        return self._raw.strip(b"\r\n").replace(b"\r", b" ").replace(b"\n", b" ")


class Undone(LogFailed):
    """A command failed in a way that nobody foresaw after it had changed something: everything of its tick was undone."""

    def __init__(self) -> None:
        CommandError.__init__(self, "undone: a command of this moment failed halfway, see the server's log", code="ERR")


# -- met by whoever opens or embeds a store


class StoreError(DiskkvError):
    """The store can't be opened or used."""


class StoreLocked(StoreError):
    """Another process has the store open."""


class BadFormat(StoreError):
    """What lies on disk is not a store, or one of a version that this diskkv does not know."""


class Damaged(StoreError):
    """A checksum or a structure on disk is wrong."""


class BadDump(DiskkvError):
    """Bytes that should be an RDB file, a DUMP payload or another form of exported data are not, or are damaged."""


class SettingError(DiskkvError):
    """A setting is unknown, means nothing here, or has a value that it can't take."""


class MeansNothing(SettingError):
    """Redis has such a setting, or such a value of it, and diskkv can't have it."""


class UnknownSetting(SettingError):
    """Neither diskkv nor Redis has a setting of that name."""


class TooMuch(CommandError):
    text = "the reply would be longer than maxmemory-clients allows"


# -- the wire


class ProtocolError(DiskkvError):
    """A client's bytes are not RESP: it is told so and disconnected."""
