"""Settings: one table, read by the command line, by configuration files and by CONFIG.

They carry Redis' own names. A Redis directive that has no meaning here is refused by name, with the reason, rather than accepted
and ignored; a few are accepted with the one value that is true here (`appendonly yes`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from diskkv.errors import MeansNothing, SettingError, UnknownSetting
from diskkv.lib.eventclasses import Classes, parse_classes
from diskkv.lib.glob import compile_glob
from diskkv.lib.numbers import parse_float, parse_int

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
        value = parse_int(text.encode("utf-8", "surrogateescape"))
        if value is None:
            raise SettingError("argument couldn't be parsed into an integer")
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
            raise MeansNothing(f"can only be '{value}' here: {why}")
        return value

    return read


def supervisor(text: str) -> str:
    """Who is told how the server is."""
    if text.lower() == "upstart":
        raise MeansNothing("can't be 'upstart' here: systemd is told, or nobody")
    return choice("no", "systemd", "auto")(text)


def event_classes(text: str) -> Classes:
    """Letters of notify-keyspace-events."""
    try:
        return parse_classes(text)
    except ValueError:
        raise SettingError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.") from None


def percentiles(text: str) -> str:
    """Numbers from 0 to 100."""
    shown = []
    for word in text.split():
        value = parse_float(word.encode("utf-8", "surrogateescape"))
        if value is None or not 0 <= value <= 100:
            raise SettingError("latency-tracking-info-percentiles should contain numbers between 0.0 and 100.0")
        shown.append(f"{value:.17g}")
    return " ".join(shown)


def save_rules(text: str) -> str:
    """Pairs of seconds and changes; none for never."""
    words = text.split()
    if len(words) % 2 or not all(word.isdigit() and int(word) >= place % 2 ^ 1 for place, word in enumerate(words)):
        raise SettingError("Invalid save parameters")
    return " ".join(str(int(word)) for word in words)


def file_name(text: str) -> str:
    """A file's name without a directory."""
    if not text or "/" in text or text in (".", ".."):
        raise SettingError("can't be a path, just a filename")
    return text


def memory_or_share(text: str) -> str:
    """A number of bytes, or a share of maxmemory in percent."""
    if text.endswith("%") and text[:-1].isdigit():
        if int(text[:-1]) > 100:
            raise SettingError("percentage argument must be less or equal to 100")
        return text
    try:
        return str(memory(text))
    except SettingError:
        raise SettingError("argument must be a memory or percent value") from None


# as written in tls-protocols, in small letters
TLS_VERSIONS = {"tlsv1": "TLSv1", "tlsv1.1": "TLSv1.1", "tlsv1.2": "TLSv1.2", "tlsv1.3": "TLSv1.3"}


def tls_protocols(text: str) -> str:
    """Versions of TLS. Those between two others are spoken too: the libraries have given up leaving out a middle one."""
    words = text.lower().split()
    order = list(TLS_VERSIONS)
    if any(word not in TLS_VERSIONS for word in words):
        raise SettingError("Invalid tls-protocols specified. Use a combination of the following: TLSv1, TLSv1.1, TLSv1.2 and TLSv1.3.")
    places = sorted({order.index(word) for word in words})
    if places and places[-1] - places[0] >= len(places):
        raise SettingError("tls-protocols can't leave out a version between two others")
    return text


def octal(text: str) -> str:
    """File permissions."""
    if not text or text.strip("01234567") or int(text, 8) > 0o777:
        raise SettingError("argument couldn't be parsed into an integer")
    return text


OUTPUT_CLASSES = ("normal", "slave", "pubsub")


def output_limits(text: str) -> str:
    """Limits of one or more classes of clients: class, hard bytes, soft bytes, soft seconds."""
    words = text.split()
    if not words or len(words) % 4:
        raise SettingError("Wrong number of arguments in buffer limit configuration.")
    limits = []
    for at in range(0, len(words), 4):
        kind = "slave" if words[at].lower() == "replica" else words[at].lower()
        if kind not in OUTPUT_CLASSES:
            raise SettingError("Invalid client class specified in buffer limit configuration.")
        try:
            hard, soft = memory(words[at + 1]), memory(words[at + 2])
        except SettingError:
            hard = soft = -1
        if hard < 0 or not words[at + 3].isdigit():
            raise SettingError("Error in hard, soft or soft_seconds setting in buffer limit configuration.")
        limits.append(f"{kind} {hard} {soft} {int(words[at + 3])}")
    return " ".join(limits)


def merge_output_limits(old: str, new: str) -> str:
    """All classes' limits, after some of them have been given anew."""
    limits = {}
    for text in (old, new):
        words = text.split()
        for at in range(0, len(words), 4):
            limits[words[at]] = " ".join(words[at : at + 4])
    return " ".join(limits[kind] for kind in OUTPUT_CLASSES)


# What bounds memory when maxmemory is 0, and the least with which anything can be done.
DEFAULT_BUDGET = 256 << 20
LEAST_BUDGET = 1 << 20


def budget(limit: int) -> int:
    """The bytes of memory that a value of maxmemory stands for; there is no 'unlimited'."""
    return max(limit, LEAST_BUDGET) if limit else DEFAULT_BUDGET


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the table. `fixed`: only at start, not by CONFIG SET."""

    name: str
    read: Callable[[str], Any]
    default: str
    doc: str
    fixed: bool = False
    alias: str = ""
    # makes a value of the old and the given one, for settings that are given in parts
    merge: Callable[[Any, Any], Any] | None = None


# Settings of which a line, or an option, may have more than one word.
LISTS = frozenset({"bind", "save", "client-output-buffer-limit", "latency-tracking-info-percentiles", "tls-protocols"})
ANY = 2**63 - 1
POLICIES = (
    "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction",
)  # fmt: skip
# What a setting's name is written with.
PLAIN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
SIZES = "what OBJECT ENCODING judges by; how a value is stored does not depend on it"
TABLE = (
    Setting("bind", str, "127.0.0.1 -::1", "addresses to listen on; a leading '-' lets one be missing"),
    Setting("port", number(0, 65535), "6379", "TCP port; 0 for none"),
    Setting("metrics-port", number(0, 65535), "0", "port for Prometheus: HTTP, at the addresses of `bind`; 0 for none"),
    Setting("tls-port", number(0, 65535), "0", "port for TLS; 0 for none"),
    Setting("tls-cert-file", str, "", "the server's certificate, with those between it and the authority (PEM)"),
    Setting("tls-key-file", str, "", "its private key (PEM)"),
    Setting("tls-key-file-pass", str, "", "what that key is encrypted with"),
    Setting("tls-ca-cert-file", str, "", "certificates of the authorities that clients' certificates are judged by (PEM)"),
    Setting("tls-ca-cert-dir", str, "", "the same as a directory, with OpenSSL's hashed names"),
    Setting(
        "tls-auth-clients", choice("yes", "no", "optional"), "yes",
        "whether clients must have a certificate, need none, or need a good one if they have one",
    ),
    Setting("tls-protocols", tls_protocols, "", "versions of TLS, such as 'TLSv1.2 TLSv1.3'; empty for what the system allows"),
    Setting("tls-ciphers", str, "", "ciphers for TLS up to 1.2, as OpenSSL writes them; empty for its own choice"),
    Setting("unixsocket", str, "", "path of a unix socket to listen on", fixed=True),
    Setting("unixsocketperm", octal, "700", "its permissions, octal", fixed=True),
    Setting("tcp-backlog", number(0, 2**31 - 1), "511", "how many connections may wait to be accepted", fixed=True),
    Setting("dir", str, ".", "the store's directory", fixed=True),
    Setting("databases", number(1, 2**31 - 1), "16", "how many numbered databases there are", fixed=True),
    Setting(
        "maxmemory", memory, "256mb",
        "the one memory budget: cache, engine caches and write buffers; never evicts data; 0: 256mb; below 1mb nothing may be added",
    ),
    # By name all of them are accepted: what a client means by selecting one, that memory stays within bounds, holds under each.
    Setting(
        "maxmemory-policy", choice(*POLICIES), "noeviction",
        "whether OBJECT FREQ (an LFU policy) or OBJECT IDLETIME (another) is kept; under none of them is data evicted",
    ),
    Setting("lfu-log-factor", number(0, 2**31 - 1), "10", "how much slower the counter of OBJECT FREQ grows the higher it is"),
    Setting("lfu-decay-time", number(0, 2**31 - 1), "1", "minutes after which it falls by one; 0 never"),
    Setting(
        "max-disk-size", memory, "0",
        "how much tree and log may take on disk; beyond it nothing may be added, while deleting goes on; 0 for no limit",
    ),
    Setting("appendfsync", choice("everysec", "always", "no"), "everysec", "when the log is forced to the disk"),
    Setting(
        "checkpoint-log-size",
        memory,
        "64mb",
        "how much log may gather before a checkpoint, or work: 0.55 s for 64mb; bounds the time that opening takes",
    ),
    Setting(
        "archive-dir", str, "", "where segments of the log go that are not needed any more, to restore any moment; empty: nowhere",
        fixed=True,
    ),
    Setting(
        "enable-backup-command", choice("no", "yes", "local"), "local",
        "whether DISKKV.BACKUP is allowed: to nobody, to everybody, to local clients", fixed=True,
    ),
    Setting("appendonly", only("yes", "every write is logged"), "yes", "every write is logged"),
    Setting("save", save_rules, "", "seconds and changes after which an RDB file is written, for others: the store is always on disk"),
    Setting("dbfilename", file_name, "dump.rdb", "the RDB file's name", fixed=True),
    Setting("rdbcompression", yes_no, "yes", "whether strings in the RDB file are compressed"),
    Setting("rdbchecksum", yes_no, "yes", "whether the RDB file has a checksum", fixed=True),
    Setting("aof-use-rdb-preamble", only("no", "the log holds commands and nothing else"), "no", "the log holds commands and nothing else"),
    Setting("requirepass", str, "", "password that clients must give"),
    Setting("aclfile", str, "", "file of users, for ACL LOAD and ACL SAVE; a relative path is one inside the store", fixed=True),
    Setting("acllog-max-len", number(0, ANY), "128", "how many refusals ACL LOG remembers"),
    Setting(
        "acl-pubsub-default", choice("resetchannels", "allchannels"), "resetchannels",
        "whether new users may use no channel or every one",
    ),
    Setting("protected-mode", yes_no, "yes", "without a password, serve only loopback clients"),
    Setting("maxclients", number(1, 2**32 - 1), "10000", "how many clients may be connected"),
    Setting(
        "maxmemory-clients", memory_or_share, "0",
        "how much may be kept for clients that do not read or have not sent all, before the greediest is dropped; 0: as maxmemory, "
        "256mb at least",
    ),
    Setting("timeout", number(0, 2**31 - 1), "0", "close a client idle for so many seconds; 0 never"),
    Setting("tcp-keepalive", number(0, 2**31 - 1), "300", "seconds between probes of idle connections; 0 none"),
    Setting("client-query-buffer-limit", memory, "1gb", "how much of an incomplete request is buffered"),
    Setting("proto-max-bulk-len", memory, "512mb", "the longest string"),
    Setting(
        "client-output-buffer-limit",
        output_limits,
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        "class hard soft seconds: clients that read too slowly are dropped",
        merge=merge_output_limits,
    ),
    Setting("notify-keyspace-events", event_classes, "", "which classes of keyspace events are published, and on which channels"),
    Setting("tracking-table-max-keys", number(0, ANY), "1000000", "how many keys are remembered for client tracking; 0 for no limit"),
    Setting("latency-tracking", yes_no, "yes", "keep a histogram of each command's latencies"),
    Setting("latency-tracking-info-percentiles", percentiles, "50 99 99.9", "which of their percentiles INFO latencystats shows"),
    Setting("latency-monitor-threshold", number(0, ANY), "0", "milliseconds from which an event's latency is recorded; 0 never"),
    Setting("slowlog-log-slower-than", number(-1, ANY), "10000", "microseconds from which a command is slow; -1 never"),
    Setting(
        "busy-reply-threshold", number(0, ANY), "5000", "milliseconds after which a script lets others have BUSY; 0 never",
        alias="lua-time-limit",
    ),
    Setting("slowlog-max-len", number(0, ANY), "128", "how many slow commands are remembered"),
    Setting("hash-max-listpack-entries", number(0, ANY), "128", SIZES, alias="hash-max-ziplist-entries"),
    Setting("hash-max-listpack-value", memory, "64", SIZES, alias="hash-max-ziplist-value"),
    Setting("list-max-listpack-size", number(-(2**31), 2**31 - 1), "-2", SIZES, alias="list-max-ziplist-size"),
    # A hint in Redis too, which no reply depends on; refusing it would only break those who set it beside the sizes.
    Setting("list-compress-depth", number(0, 2**31 - 1), "0", "a hint, as in Redis; here elements are compressed where that pays"),
    Setting("set-max-intset-entries", number(0, ANY), "512", SIZES),
    Setting("set-max-listpack-entries", number(0, ANY), "128", SIZES),
    Setting("set-max-listpack-value", memory, "64", SIZES),
    Setting("zset-max-listpack-entries", number(0, ANY), "128", SIZES, alias="zset-max-ziplist-entries"),
    Setting("zset-max-listpack-value", memory, "64", SIZES, alias="zset-max-ziplist-value"),
    Setting("stream-node-max-entries", number(0, ANY), "100", "how many entries XADD and XTRIM remove together when told `~`; 0 for one"),
    Setting("stream-idmp-duration", number(1, 86_400), "100", "for how many seconds XADD's IDMP remembers messages"),
    Setting("stream-idmp-maxsize", number(1, 10_000), "100", "how many messages of each producer XADD's IDMP remembers"),
    Setting("hll-sparse-max-bytes", memory, "3000", "how long a HyperLogLog grows before its form of fixed length replaces the sparse one"),
    Setting("loglevel", choice("debug", "verbose", "notice", "warning", "nothing"), "notice", "how much is reported"),
    Setting("logfile", str, "", "file for reports; empty for standard output; a relative path is one inside the store", fixed=True),
    Setting(
        "log-format", choice("legacy", "logfmt", "json"), "legacy",
        "a report's form: as Redis writes it, as key=value pairs, or as one object of JSON a line",
    ),
    Setting(
        "log-timestamp-format", choice("legacy", "iso8601", "milliseconds"), "legacy",
        "its times: as Redis writes them (iso8601 in the forms for machines), iso8601, or milliseconds since 1970",
    ),
    Setting("syslog-enabled", yes_no, "no", "whether the report goes to the system's log, too", fixed=True),
    Setting("syslog-ident", str, "diskkv", "by what name", fixed=True),
    Setting(
        "syslog-facility", choice("user", *(f"local{number}" for number in range(8))), "local0", "as what kind of program's", fixed=True,
    ),
    Setting(
        "enable-debug-command", choice("no", "yes", "local"), "no", "whether DEBUG is allowed: to nobody, to everybody, to local clients",
        fixed=True,
    ),
    Setting("daemonize", yes_no, "no", "whether to go on in the background once clients are served; not if supervised", fixed=True),
    Setting("pidfile", str, "", "file with the process's number while it runs; a relative path is one inside the store", fixed=True),
    Setting(
        "supervised", supervisor, "no",
        "whether the service manager is told that the server is ready, how it is and that it lives: no, systemd, or auto to find out",
        fixed=True,
    ),
)
BY_NAME = {name: setting for setting in TABLE for name in (setting.name, setting.alias) if name}

# What Redis has and diskkv has not, by the reason. A directive that matters to nobody here is an error and not a silent success.
REFUSED = {
    name: reason
    for reason, names in {
        "no data is ever evicted, maxmemory bounds the cache": (
            "maxmemory-samples maxmemory-eviction-tenacity "
            "lazyfree-lazy-eviction replica-ignore-maxmemory slave-ignore-maxmemory"
        ),
        "deleting takes no time, whatever the size": (
            "lazyfree-lazy-expire lazyfree-lazy-server-del lazyfree-lazy-user-del lazyfree-lazy-user-flush replica-lazy-flush "
            "slave-lazy-flush"
        ),
        "the store is always on disk, RDB files are for others": (
            "rdb-del-sync-files rdb-save-incremental-fsync sanitize-dump-payload "
            "stop-writes-on-bgsave-error bgsave_cpulist"
        ),
        "the log is never rewritten: checkpoints shorten it": (
            "appendfilename appenddirname auto-aof-rewrite-percentage auto-aof-rewrite-min-size aof-load-truncated "
            "aof-rewrite-incremental-fsync aof-timestamp-enabled aof-disable-auto-gc no-appendfsync-on-rewrite "
            "aof_rewrite_cpulist"
        ),
        "there is no replication": (
            "replicaof slaveof masterauth masteruser repl-timeout repl-ping-replica-period repl-ping-slave-period repl-diskless-sync "
            "repl-diskless-sync-delay repl-diskless-sync-max-replicas repl-diskless-load repl-disable-tcp-nodelay repl-backlog-size "
            "repl-backlog-ttl replica-priority slave-priority replica-read-only slave-read-only replica-serve-stale-data "
            "slave-serve-stale-data replica-announced replica-announce-ip replica-announce-port slave-announce-ip slave-announce-port "
            "replica-ignore-disk-write-errors min-replicas-to-write min-replicas-max-lag min-slaves-to-write min-slaves-max-lag "
            "propagation-error-behavior"
        ),
        "there is no cluster": (
            "cluster-enabled cluster-config-file cluster-node-timeout cluster-port cluster-announce-ip cluster-announce-port "
            "cluster-announce-bus-port cluster-announce-tls-port cluster-announce-hostname cluster-announce-human-nodename "
            "cluster-preferred-endpoint-type cluster-replica-validity-factor cluster-slave-validity-factor cluster-migration-barrier "
            "cluster-allow-replica-migration cluster-require-full-coverage cluster-replica-no-failover cluster-slave-no-failover "
            "cluster-allow-reads-when-down cluster-allow-pubsubshard-when-down cluster-link-sendbuf-limit"
        ),
        "there is no cluster and no replication that TLS could be for": (
            "tls-cluster tls-replication tls-client-cert-file tls-client-key-file tls-client-key-file-pass"
        ),
        "OpenSSL's own choice holds": (
            "tls-dh-params-file tls-ciphersuites tls-prefer-server-ciphers tls-session-caching tls-session-cache-size "
            "tls-session-cache-timeout"
        ),
        "there are no modules": "loadmodule enable-module-command",
        "streams have no nodes": "stream-node-max-bytes",
        "no settings are protected": "enable-protected-configs",
        "keys expire at their millisecond": "active-expire-effort hz dynamic-hz",
        "memory is Python's": (
            "activedefrag active-defrag-ignore-bytes active-defrag-threshold-lower active-defrag-threshold-upper active-defrag-cycle-min "
            "active-defrag-cycle-max active-defrag-max-scan-fields activerehashing jemalloc-bg-thread disable-thp"
        ),
        "commands run on one thread": "io-threads io-threads-do-reads server_cpulist bio_cpulist",
        "what starts the process decides": (
            "oom-score-adj oom-score-adj-values set-proc-title proc-title-template always-show-logo crash-log-enabled "
            "crash-memcheck-enabled ignore-warnings include"
        ),
        "it stops as soon as everything is on disk": "shutdown-timeout shutdown-on-sigint shutdown-on-sigterm",
        "it is left to the system": "bind-source-addr socket-mark-id locale-collate",
        "it is for configuration files and the command line": "rename-command",
        "it is for configuration files and the command line; use ACL SETUSER": "user",
    }.items()
    for name in names.split()
}


class Settings:
    """The values in force. `settings["maxmemory"]` is the value as read, `text("maxmemory")` as CONFIG GET shows it."""

    def __init__(self, **given: str) -> None:
        self._values = {setting.name: setting.read(setting.default) for setting in TABLE}
        # called with the name after a setting has changed; whoever keeps a copy registers here
        self.listeners: list[Callable[[str], None]] = []
        # `user` lines, each a name and its rules; see dispatch/acl/files.py
        self.users: list[list[str]] = []
        # `rename-command` lines: the old name and the new one; see the executor
        self.renames: list[tuple[str, str]] = []
        self._rules: list[str] = []
        # the file that they came from, which CONFIG REWRITE writes
        self.path: str | None = None
        for name, text in given.items():
            self.set(name.replace("_", "-"), text)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def text(self, name: str) -> str:
        """A value in the form that `set` takes, by a setting's name or alias."""
        value = self._values[BY_NAME[name.lower()].name]
        if isinstance(value, bool):
            return "yes" if value else "no"
        return str(value)

    def set(self, name: str, text: str) -> None:
        """Change a setting, as at start. SettingError when that can't be."""
        setting = find(name)
        self._values[setting.name] = self._read(setting, text)
        self._changed(setting.name)

    def change(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Change settings at run time, all or none. UnknownSetting, or SettingError worded as Redis words CONFIG SET's errors."""
        chosen: dict[str, str] = {}
        for name, text in pairs:
            with _blaming(name):
                setting = find(name)
                if setting.fixed:
                    raise SettingError("can't set immutable config")
                if setting.name in chosen:
                    raise SettingError("duplicate parameter")
                chosen[setting.name] = text
        old = dict(self._values)
        name = ""
        try:
            for name, text in chosen.items():
                with _blaming(name):
                    self._values[name] = self._read(BY_NAME[name], text)
            for name in chosen:
                with _blaming(name):
                    self._changed(name)
        except SettingError:
            self._values = old
            for name in chosen:
                self._changed(name)
            raise

    def _read(self, setting: Setting, text: str) -> Any:
        value = setting.read(text)
        return setting.merge(self._values[setting.name], value) if setting.merge is not None else value

    def _changed(self, name: str) -> None:
        for listener in self.listeners:
            listener(name)

    def matching(self, pattern: bytes) -> list[str]:
        """The names that a glob pattern matches, aliases too; a plain name as it was typed."""
        if not pattern.strip(PLAIN):
            name = pattern.decode()
            return [name] if name.lower() in BY_NAME else []
        matches = compile_glob(pattern.lower())
        return [name for name in BY_NAME if matches(name.encode())]

    def take(self, name: str, values: list[str]) -> None:
        """A line of a file, or an option; of some there may be several. MeansNothing when it is nothing that diskkv has."""
        match name.lower():
            case "user":
                if not values:
                    raise SettingError("a user needs a name")
                self.users.append(values)
            case "rename-command":
                if len(values) != 2:
                    raise SettingError("takes a command's name and its new name, empty for none")
                self.renames.append((values[0], values[1]))
            case "save" if values != [""]:
                # Each such line adds a rule.
                self._rules += values
                self.set(name, " ".join(self._rules))
            case _:
                # Without a value, `--requirepass $PASSWORD` of a variable that is not set would let everybody in.
                if len(values) != 1 and (find(name).name not in LISTS or not values):
                    raise SettingError("wrong number of arguments")
                self.set(name, " ".join(values))

    def read_options(self, words: Iterable[str]) -> None:
        """Take settings in redis-server's manner: `--name value [value ...]`."""
        name: str | None = None
        values: list[str] = []
        for word in [*words, "--"]:
            if word.startswith("--"):
                if name is not None:
                    try:
                        self.take(name, values)
                    except SettingError as error:
                        raise SettingError(f"--{name}: {error}") from None
                name, values = word[2:], []
            elif name is None:
                raise SettingError(f"expected --name, got {word!r}")
            else:
                values.append(word)


def find(name: str) -> Setting:
    """A setting by its name or alias. UnknownSetting when Redis has none either, SettingError when diskkv can't have it."""
    name = name.lower()
    if name in REFUSED:
        raise MeansNothing(f"means nothing here: {REFUSED[name]}")
    setting = BY_NAME.get(name)
    if setting is None:
        raise UnknownSetting(f"unknown setting '{name}'")
    return setting


@contextmanager
def _blaming(name: str) -> Iterator[None]:
    """Have an error inside say which argument of CONFIG SET it is about."""
    try:
        yield
    except UnknownSetting:
        raise UnknownSetting(f"Unknown option or number of arguments for CONFIG SET - '{name}'") from None
    except SettingError as error:
        raise SettingError(f"CONFIG SET failed (possibly related to argument '{name}') - {error}") from None
