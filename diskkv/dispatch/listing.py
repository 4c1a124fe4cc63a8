"""Clients in words: the lines of CLIENT LIST, which ACL LOG has, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diskkv.dispatch.session import Session

# What a front may know of its client besides addr, laddr and fd, in the order of CLIENT LIST.
BUFFERS = ("qbuf", "qbuf-free", "argv-mem", "multi-mem", "rbs", "rbp", "obl", "oll", "omem", "tot-mem", "events")


def client_line(session: Session, last_command: str) -> str:
    """A client as CLIENT LIST shows it, without a line break: what is not known is left out."""
    known = session.front.describe()
    if "tot-mem" in known:
        waiting = sum(map(len, session.blocked.argv)) if session.blocked is not None else 0
        known["multi-mem"] = str(session.queued)
        known["argv-mem"] = str(waiting + int(known["argv-mem"]))
        known["tot-mem"] = str(session.kept() + waiting + int(known["tot-mem"]))
    now = session.now
    text = bytes.decode
    fields: dict[str, Any] = {
        "id": session.id,
        "addr": known["addr"],
        "laddr": known["laddr"],
        "fd": known["fd"],
        "name": text(session.name),
        "age": max(now - session.created, 0) // 1000,
        "idle": max(now - session.last_seen, 0) // 1000,
        "flags": _flags(session, known.get("flags", "")) or "N",
        "db": session.index,
        "sub": len(session.subscriptions),
        "psub": len(session.patterns),
        "ssub": len(session.shards),
        "multi": len(session.queue) if session.queue is not None else -1,
        **{name: known[name] for name in BUFFERS if name in known},
        "cmd": last_command or "NULL",
        "user": text(session.user.name),
        "redir": session.tracking.redirect if session.tracking is not None else -1,
        "resp": session.protocol,
        "lib-name": text(session.lib_name),
        "lib-ver": text(session.lib_version),
    }
    return " ".join(f"{name}={value}" for name, value in fields.items())


def _flags(session: Session, known: str) -> str:
    tracked = session.tracking
    states = {
        "O": session.monitoring,
        "P": session.listening(),
        "x": session.queue is not None,
        "b": session.blocked is not None or session in session.executor.pausing.held,
        "t": tracked is not None,
        "R": tracked is not None and tracked.broken,
        "B": tracked is not None and tracked.bcast,
        "d": session.watcher is not None and session.watcher.touched,
        "U": "U" in known,
        "e": session.no_evict,
        "T": session.no_touch,
    }
    return "".join(letter for letter, holds in states.items() if holds)
