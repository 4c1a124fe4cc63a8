"""CLIENT TRACKING: being told which of the keys one has read are out of date."""

from __future__ import annotations

from typing import Any

from diskkv.commands.sets import Ordered
from diskkv.dispatch.args import Args, quoted
from diskkv.dispatch.session import Session
from diskkv.dispatch.table import LOADING, NOSCRIPT, STALE, group
from diskkv.dispatch.tracking import Tracked
from diskkv.errors import BadSyntax, CommandError
from diskkv.replies import OK

command = group("connection")

QUIET = NOSCRIPT | LOADING | STALE
SWITCHED = "before disabling tracking for this client, and then re-enabling it with a different mode."


@command(
    "CLIENT TRACKING <ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
    QUIET, since="6.0.0",
)  # fmt: skip
def client_tracking(ctx: Session, state: bytes, *words: bytes) -> Any:
    """Be told when a key changes that the client has read, or that begins with a prefix."""
    tracked = Tracked()
    prefixes: list[bytes] = []
    args = Args(words)
    while args:
        match args.word():
            case b"REDIRECT" if args:
                if tracked.redirect:
                    raise CommandError("A client can only redirect to a single other client")
                tracked.redirect = args.int()
                if tracked.redirect not in ctx.executor.sessions:
                    raise CommandError("The client ID you want redirect to does not exist")
            case b"BCAST":
                tracked.bcast = True
            case b"OPTIN":
                tracked.optin = True
            case b"OPTOUT":
                tracked.optout = True
            case b"NOLOOP":
                tracked.noloop = True
            case b"PREFIX" if args:
                prefixes.append(args.next())
            case _:
                raise BadSyntax
    match state.upper():
        case b"ON":
            _check(ctx.tracking, tracked, prefixes)
            ctx.executor.observers.tracking.begin(ctx, tracked, prefixes or [b""])
        case b"OFF":
            ctx.executor.observers.tracking.end(ctx)
        case _:
            raise BadSyntax
    return OK


def _check(old: Tracked | None, new: Tracked, prefixes: list[bytes]) -> None:
    if prefixes and not new.bcast:
        raise CommandError("PREFIX option requires BCAST mode to be enabled")
    if old is not None and old.bcast != new.bcast:
        raise CommandError(f"You can't switch BCAST mode on/off {SWITCHED}")
    if new.bcast and (new.optin or new.optout):
        raise CommandError("OPTIN and OPTOUT are not compatible with BCAST")
    if new.optin and new.optout:
        raise CommandError("You can't specify both OPTIN mode and OPTOUT mode")
    if old is not None and ((new.optin and old.optout) or (new.optout and old.optin)):
        raise CommandError(f"You can't switch OPTIN/OPTOUT mode {SWITCHED}")
    overlapping = _overlapping([*prefixes, *(old.prefixes if old is not None else ())])
    for at, prefix in enumerate(prefixes):
        if prefix not in overlapping:
            continue
        for held in old.prefixes if old is not None else ():
            if held.startswith(prefix) or prefix.startswith(held):
                raise _overlap(prefix, "an existing prefix", held)
        for other in prefixes[at + 1 :]:
            if other.startswith(prefix) or prefix.startswith(other):
                raise _overlap(prefix, "another provided prefix", other)


def _overlapping(prefixes: list[bytes]) -> set[bytes]:
    """Those of which one begins with another, or that are there twice."""
    found: set[bytes] = set()
    around: list[bytes] = []
    for prefix in sorted(prefixes):
        while around and not prefix.startswith(around[-1]):
            around.pop()
        if around:
            found |= {around[-1], prefix}
        around.append(prefix)
    return found


def _overlap(prefix: bytes, which: str, other: bytes) -> CommandError:
    return CommandError(
        f"Prefix '{quoted(prefix)}' overlaps with {which} '{quoted(other)}'. Prefixes for a single client must not overlap."
    )


@command("CLIENT CACHING <YES | NO>", QUIET, since="6.0.0")
def client_caching(ctx: Session, mode: bytes) -> Any:
    """Say whether the keys of the next command are to be tracked, where that is not the rule."""
    tracked = ctx.tracking
    if tracked is None:
        raise CommandError("CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")
    match mode.upper():
        case b"YES":
            if not tracked.optin:
                raise CommandError("CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
        case b"NO":
            if not tracked.optout:
                raise CommandError("CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
        case _:
            raise BadSyntax
    tracked.caching = True
    return OK


@command("CLIENT GETREDIR", QUIET, since="6.0.0")
def client_getredir(ctx: Session) -> int:
    """Return the number of the client that is told instead; 0 for none, -1 when nothing is tracked."""
    return ctx.tracking.redirect if ctx.tracking is not None else -1


@command("CLIENT TRACKINGINFO", QUIET, since="6.2.0")
def client_trackinginfo(ctx: Session) -> dict[bytes, Any]:
    """Return what is tracked for the client, and how."""
    tracked = ctx.tracking
    if tracked is None:
        return {b"flags": Ordered([b"off"]), b"redirect": -1, b"prefixes": []}
    states = {
        b"on": True,
        b"bcast": tracked.bcast,
        b"optin": tracked.optin,
        b"caching-yes": tracked.optin and tracked.caching,
        b"optout": tracked.optout,
        b"caching-no": tracked.optout and tracked.caching,
        b"noloop": tracked.noloop,
        b"broken_redirect": tracked.broken,
    }
    flags = Ordered([name for name, holds in states.items() if holds])
    return {b"flags": flags, b"redirect": tracked.redirect, b"prefixes": sorted(tracked.prefixes)}
