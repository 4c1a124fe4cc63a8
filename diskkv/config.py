"""Settings: one table, read by the command line, by configuration files and by CONFIG.

They carry Redis' own names. A Redis directive that has no meaning here is refused by name, with the reason, rather than accepted
and ignored; a few are accepted with the one value that is true here (`appendonly yes`).
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from diskkv.errors import SettingError
from diskkv.lib.glob import compile_glob

UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1 << 10, "m": 1000**2, "mb": 1 << 20, "g": 1000**3, "gb": 1 << 30}


def memory(text: str) -> int:
    """A number of bytes with Redis' units: 1k is 1000, 1kb is 1024."""
    digits = text.rstrip("bkmgBKMG")
    unit = text[len(digits) :].lower()
    if not digits.isdigit() or unit not in UNITS:
        raise SettingError("argument must be a memory value")
    return int(digits) * UNITS[unit]


def yes_no(text: str) -> bool:
    if text.lower() not in ("yes", "no"):
        raise SettingError("argument must be 'yes' or 'no'")
    return text.lower() == "yes"


def number(low: int, high: int) -> Callable[[str], int]:
    """A reader of integers between bounds."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise SettingError("argument couldn't be parsed into an integer") from None
        if not low <= value <= high:
            raise SettingError(f"argument must be between {low} and {high} inclusive")
        return value

    return read


def choice(*values: str) -> Callable[[str], str]:
    """A reader of one of some words."""

    def read(text: str) -> str:
        if text.lower() not in values:
            raise SettingError(f"argument(s) must be one of the following: {', '.join(values)}")
        return text.lower()

    return read


def only(value: str, why: str) -> Callable[[str], str]:
    """A reader of the one value that is true here."""

    def read(text: str) -> str:
        if text.lower() != value:
            raise SettingError(f"can only be '{value}' here: {why}")
        return value

    return read


def budget(text: str) -> int:
    size = memory(text)
    if size < 1 << 20:
        raise SettingError("must be at least 1mb: it bounds the memory that diskkv uses, there is no 'unlimited'")
    return size


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the table. `fixed`: only at start, not by CONFIG SET."""

    name: str
    read: Callable[[str], Any]
    default: str
    doc: str
    fixed: bool = False
    alias: str = ""
    several: bool = False


ANY = 2**63 - 1
TABLE = (
    Setting("bind", str, "127.0.0.1 -::1", "addresses to listen on; a leading '-' lets one be missing", fixed=True, several=True),
    Setting("port", number(0, 65535), "6379", "TCP port; 0 for none", fixed=True),
    Setting("unixsocket", str, "", "path of a unix socket to listen on", fixed=True),
    Setting("unixsocketperm", str, "700", "its permissions, octal", fixed=True),
    Setting("tcp-backlog", number(0, 2**31 - 1), "511", "how many connections may wait to be accepted", fixed=True),
    Setting("dir", str, ".", "the store's directory", fixed=True),
    Setting("databases", number(1, 2**31 - 1), "16", "how many numbered databases there are", fixed=True),
    Setting("maxmemory", budget, "256mb", "the one memory budget: cache, engine caches and write buffers; never evicts data"),
    Setting("appendfsync", choice("always", "everysec", "no"), "everysec", "when the log is forced to the disk"),
    Setting(
        "checkpoint-log-size", memory, "48mb",
        "how much log, or as much work, may gather before a checkpoint; bounds the time that opening takes",
    ),
    Setting("appendonly", only("yes", "every write is logged"), "yes", "every write is logged", fixed=True),
    Setting("save", only("", "the store is always on disk"), "", "no snapshots: the store is always on disk", several=True),
    Setting("requirepass", str, "", "password that clients must give"),
    Setting("protected-mode", yes_no, "yes", "without a password, serve only loopback clients"),
    Setting("maxclients", number(1, 2**32 - 1), "10000", "how many clients may be connected"),
    Setting("timeout", number(0, 2**31 - 1), "0", "close a client idle for so many seconds; 0 never"),
    Setting("tcp-keepalive", number(0, 2**31 - 1), "300", "seconds between probes of idle connections; 0 none"),
    Setting("client-query-buffer-limit", memory, "1gb", "how much of an incomplete request is buffered"),
    Setting("proto-max-bulk-len", memory, "512mb", "the longest string"),
    Setting(
        "client-output-buffer-limit", str, "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        "class hard soft seconds: clients that read too slowly are dropped", several=True,
    ),
    Setting("slowlog-log-slower-than", number(-1, ANY), "10000", "microseconds from which a command is slow; -1 never"),
    Setting("slowlog-max-len", number(0, ANY), "128", "how many slow commands are remembered"),
    Setting("hash-max-listpack-entries", number(0, ANY), "128", "what OBJECT ENCODING calls small", alias="hash-max-ziplist-entries"),
    Setting("hash-max-listpack-value", memory, "64", "what OBJECT ENCODING calls small", alias="hash-max-ziplist-value"),
    Setting("list-max-listpack-size", number(-5, 2**31 - 1), "-2", "what OBJECT ENCODING calls small", alias="list-max-ziplist-size"),
    Setting("set-max-intset-entries", number(0, ANY), "512", "what OBJECT ENCODING calls small"),
    Setting("set-max-listpack-entries", number(0, ANY), "128", "what OBJECT ENCODING calls small"),
    Setting("set-max-listpack-value", memory, "64", "what OBJECT ENCODING calls small"),
    Setting("zset-max-listpack-entries", number(0, ANY), "128", "what OBJECT ENCODING calls small", alias="zset-max-ziplist-entries"),
    Setting("zset-max-listpack-value", memory, "64", "what OBJECT ENCODING calls small", alias="zset-max-ziplist-value"),
    Setting("loglevel", choice("debug", "verbose", "notice", "warning", "nothing"), "notice", "how much is reported"),
    Setting("logfile", str, "", "file for reports; empty for standard output", fixed=True),
    Setting("daemonize", only("no", "run it under a supervisor"), "no", "always in the foreground", fixed=True),
)
BY_NAME = {name: setting for setting in TABLE for name in (setting.name, setting.alias) if name}


class Settings:
    """The values in force. `settings["maxmemory"]` is the value as read, `text("maxmemory")` as CONFIG GET shows it."""

    def __init__(self, **given: str) -> None:
        self._text = {setting.name: setting.default for setting in TABLE}
        self._values = {setting.name: setting.read(setting.default) for setting in TABLE}
        # called with the name after a setting has changed; whoever keeps a copy registers here
        self.listeners: list[Callable[[str], None]] = []
        for name, text in given.items():
            self.set(name.replace("_", "-"), text)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def text(self, name: str) -> str:
        """A value in the form that `set` takes."""
        value = self._values[name]
        if isinstance(value, bool):
            return "yes" if value else "no"
        return str(value)

    def set(self, name: str, text: str) -> None:
        """Change a setting. SettingError, its text as Redis words it, when that can't be."""
        setting = BY_NAME.get(name.lower())
        if setting is None:
            raise SettingError(f"unknown or unsupported setting '{name}'")
        value = setting.read(text)
        self._text[setting.name] = text
        self._values[setting.name] = value
        for listener in self.listeners:
            listener(setting.name)

    def matching(self, pattern: bytes) -> list[str]:
        """The names that a glob pattern matches, aliases too."""
        matches = compile_glob(pattern.lower())
        return [name for name in BY_NAME if matches(name.encode())]

    def read_file(self, path: str) -> None:
        """Take the settings of a file in redis.conf's format."""
        try:
            with open(path, encoding="utf-8") as file:
                lines = file.readlines()
        except OSError as error:
            raise SettingError(f"can't read {path}: {error.strerror}") from None
        for count, line in enumerate(lines, 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            try:
                words = shlex.split(line)
                self.set(words[0], " ".join(words[1:]))
            except (SettingError, ValueError) as error:
                raise SettingError(f"{path}:{count}: {words[0] if words else ''}: {error}") from None

    def read_options(self, words: Iterable[str]) -> None:
        """Take settings in redis-server's manner: `--name value [value ...]`."""
        name: str | None = None
        values: list[str] = []
        for word in [*words, "--"]:
            if word.startswith("--"):
                if name is not None:
                    try:
                        self.set(name, " ".join(values))
                    except SettingError as error:
                        raise SettingError(f"--{name}: {error}") from None
                name, values = word[2:], []
            elif name is None:
                raise SettingError(f"expected --name, got {word!r}")
            else:
                values.append(word)
