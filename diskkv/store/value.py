"""Value: what every data type gets for nothing.

A value is the decoded object behind one key. It has two forms on disk, and `oid` tells which:

- inline (`oid` 0): small; it lies whole in its meta record and is always whole in memory;
- with records (`oid` > 0): large; its content lies in data records under its oid. Of these only some may be in memory. What was
  changed since the last freeze is in `touched`, what a running checkpoint writes is in `flying` (both: sub -> new content, None for
  deleted), and both are newer than the engine (see `Ahead`).

The life of a change. A command takes the value from `Database.get` or `Database.open`, and before it changes anything the type
calls `touch()`: it links a new value to its key, has a checkpoint that has not yet encoded the value do so first (copy on touch),
notes the value as dirty and tells who watches it. Afterwards the type calls `resized(delta)` with the bytes of memory gained or lost,
or `vanish()` when nothing is left in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from diskkv.errors import Damaged
from diskkv.format import keys
from diskkv.format.meta import Meta, encode_header, encode_inline, head, wakes

if TYPE_CHECKING:
    from diskkv.store.database import Database

# What a cached key costs besides its bytes: the object, its key's header, dict and queue entries (measured: 330 for a string).
OVERHEAD = 350
# `Value.saved` after a checkpoint that may or may not have reached the engine.
UNKNOWN = -1


class Looked:
    """What a look-up reads and writes of a value, side by side: an object's slots lie in memory in the order of its classes.

    In a store of many keys each of them is far from the processor, and waiting for memory is half of what a GET costs (100,000 keys:
    3.1 us, 1.6 for one key again and again). With the two words before them these six are a line of its cache, and a `String` is two:
    an object of 128 bytes begins where a line does, one of 144 would not.
    """

    # `data` is a string's content, which no other type has.
    __slots__ = ("data", "expire", "freq", "oid", "seen", "stamp")


class Value(Looked):
    """The decoded object behind one key; see the module's docstring for its life."""

    __slots__ = ("db", "key", "linked", "saved", "weight")

    tag: ClassVar[int] = 0
    # What a front keeps of the last reply about it, until it is touched; None for nothing. Of what has records only.
    memo: Any = None
    # Parts of it expire by themselves: whoever looks it up asks `due` first. Said by a class of its own, to which such a value changes
    # (see `types/hashes.py`), so that all others need not be asked.
    timed: ClassVar[bool] = False

    # `stamp` tells when it was last changed, in the writer's counting (see `Writer`). `saved` is what the engine has for the key,
    # once what has been encoded lands: None for no record, 0 for one that has no expiry record, else that one's time in ms, or UNKNOWN.
    # `weight` is the memory it counts for, `freq` belongs to the cache; `seen` is when it was last looked up. `linked` is 0 while it is not
    # its key's, else the number of the cache's queue that it stands in.
    db: Database
    key: bytes
    expire: int | None
    saved: int | None
    weight: int
    oid: int
    linked: int

    def __init__(self, db: Database, key: bytes) -> None:
        self.db = db
        self.key = key
        self.expire = None
        self.saved = None
        self.freq = 0
        self.stamp = 0
        self.seen = db.store.moment
        self.linked = 0
        self.oid = 0
        self.weight = OVERHEAD + len(key)

    # -- for types to call

    def touch(self) -> None:
        """REQUIRES: called before each command's first change to the value."""
        db = self.db
        store = db.store
        if self.stamp != store.stamp:
            store.stamp_value(self)
        store.changes += 1
        if db.heeded:
            db.signal(self.key)

    def resized(self, delta: int) -> None:
        """The value's memory grew by `delta` bytes (or shrank). REQUIRES: linked."""
        self.weight += delta
        cache = self.db.cache
        cache.used += delta
        if self.linked == 1:
            cache.small_bytes += delta

    def vanish(self) -> None:
        """Nothing is left in the value: its key ceases to exist."""
        self.db.remove(self)

    def promote(self, changes: dict[Any, Any]) -> None:
        """Become an object with records. `changes` is all of the content, as `records` will want it. REQUIRES: linked."""
        self.oid = self.db.store.new_oid()
        self.begin(changes)
        self.db.store.large.append(self)
        # Of what one short command makes of others the log's growth does not tell.
        self.db.store.backlog.bytes += self.weight

    # -- for each type to define

    def load(self, meta: Meta) -> None:
        """Become what a meta record says. Called once, on a fresh value; sets `weight`."""
        raise NotImplementedError

    def body(self) -> bytes:
        """The inline form."""
        raise NotImplementedError

    def length(self) -> int:
        """The count that stands in the header of an object with records."""
        raise NotImplementedError

    def extras(self) -> bytes:
        """What else stands there."""
        return b""

    def records(self, changes: dict[Any, Any]) -> Iterator[tuple[bytes, bytes | None]]:
        """What `freeze` took, as kind + sub -> value, None for deleted. Made little by little, while the object goes on: reads nothing of
        it but `changes`, and does nothing for all of them at once."""
        raise NotImplementedError

    def encoding(self) -> bytes:
        """What OBJECT ENCODING says: Redis' name for an object of this size."""
        raise NotImplementedError

    def shed(self, count: int) -> bool:
        """Free about `count` pieces of a dead value's memory; True when none are left. So a huge one is freed little by little."""
        return True

    def renewed(self) -> bool:
        """Be what a fresh value would be to one who is about to set all of the content; False for one that can't."""
        return False

    def due(self) -> int | None:
        """A time before which none of its parts expires, None when none will. For `timed` values."""
        return None

    def fade(self, now: int, limit: int | None) -> tuple[int, list[tuple[bytes, ...]]]:
        """Have the parts expire whose time has come, `limit` at most; how many did, and the commands that amount to it.

        The value `vanish`es with its last part. For `timed` values.
        """
        return 0, []

    def over(self, now: int) -> bool:
        """Whether the time of all of it has come, as far as is known without looking for it. For `timed` values."""
        return False

    def copy_to(self, target: Value) -> None:
        """Fill a fresh value of the same type with the same content (COPY)."""
        raise NotImplementedError

    def verify(self) -> Iterator[str]:
        """What is wrong with the object as the engine has it, in words, for `check`. Called on a value that is fresh from `load` and
        not linked: reads the engine alone, changes nothing."""
        return iter(())

    def parts(self) -> int:
        """How many parts of it have changed since the last freeze and take memory that is not in `weight`: of those with records, but not
        strings, whose pieces are counted there."""
        return 0

    def spare(self) -> None:
        """Others need the memory: let go of what the engine has. REQUIRES: it has records; no command is under way."""

    def look_ups(self) -> int:
        """How many times a replay would ask the engine for a part that has changed since the last freeze."""
        return 0

    # -- for the writer, of an object with records

    def begin(self, changes: dict[Any, Any]) -> None:
        """Have records from now on, and `changes` that are ahead of them."""
        raise NotImplementedError

    def ready(self) -> None:
        """`freeze` is to be called soon: do ahead what it would take long for."""

    def freeze(self) -> tuple[bytes, Callable[[dict[Any, Any]], Iterator[tuple[bytes, bytes | None]]], dict[Any, Any]]:
        """Hand over what changed: the data prefix, and the function and the argument that make the records of it."""
        raise NotImplementedError

    def remains(self) -> dict[Any, Any] | None:
        """What changed as far as it can be handed over when `freeze` finds that it can't be; None for nothing of it."""
        return None

    def landed(self) -> None:
        """What `freeze` handed over is in the engine."""
        raise NotImplementedError

    def give_back(self) -> None:
        """What `freeze` handed over did not reach the engine: it is changed still."""
        raise NotImplementedError

    # -- for the writer, of all

    def resolve(self) -> None:
        """Resolve an UNKNOWN `saved`: ask the engine what it has for the key. REQUIRES: no checkpoint is being written."""
        try:
            raw = self.db.store.engine.get(self.db.prefix + self.key)
        except Damaged:
            # There is some record. An expiry record of it, if there is one, will be found to be stale.
            self.saved = 0
            return
        self.saved = None if raw is None else head(raw)[0]

    def record(self, due: int | None) -> bytes:
        """The meta record; `due` is what `due` says."""
        if self.oid:
            return encode_header(self.tag, self.expire, self.oid, self.length(), self.extras(), due)
        return encode_inline(self.tag, self.expire, self.body(), due)

    def save(self, batch: Any) -> None:
        """Put the meta record, and the expiry record in step with it, into a batch."""
        if self.saved == UNKNOWN:
            self.resolve()
        due = self.due() if self.timed else None
        batch.put(self.db.prefix + self.key, self.record(due))
        self.save_expiry(batch, wakes(self.expire, due))

    def save_expiry(self, batch: Any, expire: int) -> None:
        """Put the expiry record for a time, 0 for none, into a batch in place of the one that there is."""
        db = self.db
        if expire != self.saved:
            if self.saved:
                batch.delete(keys.expiry_key(self.saved, db.epoch, self.key))
            if expire:
                batch.put(keys.expiry_key(expire, db.epoch, self.key), b"")
            self.saved = expire


class Ahead(Protocol):
    """What of an object with records is ahead of the engine: what was changed since, and what a checkpoint writes."""

    touched: dict[Any, Any]
    flying: dict[Any, Any]


def take(ahead: Ahead) -> dict[Any, Any]:
    """A checkpoint takes what was changed."""
    ahead.flying = changes = ahead.touched
    ahead.touched = {}
    return changes


def give_back(ahead: Ahead) -> None:
    """What it took did not reach the engine: it is changed still."""
    ahead.touched = {**ahead.flying, **ahead.touched}
    ahead.flying = {}


def mostly_clean(ahead: Ahead, resident: Sized) -> bool:
    """Whether the engine has more than half of what is in memory: so each time it is let go of pays for the looks at what has to stay."""
    return 2 * (len(ahead.touched) + len(ahead.flying)) < len(resident)


class Recorded(Value):
    """A value that knows by itself what of it is ahead: of every type but strings, most of which are short."""

    __slots__ = ("flying", "memo", "touched")

    touched: dict[Any, Any]
    flying: dict[Any, Any]

    def __init__(self, db: Database, key: bytes) -> None:
        super().__init__(db, key)
        self.memo = None

    def touch(self) -> None:
        db = self.db
        store = db.store
        self.memo = None
        if self.stamp != store.stamp:
            store.stamp_value(self)
        store.changes += 1
        if db.heeded:
            db.signal(self.key)

    def parts(self) -> int:
        return len(self.touched)

    def begin(self, changes: dict[Any, Any]) -> None:
        self.touched = changes
        self.flying = {}

    def freeze(self) -> tuple[bytes, Callable[[dict[Any, Any]], Iterator[tuple[bytes, bytes | None]]], dict[Any, Any]]:
        return keys.data_prefix(self.oid), self.records, take(self)

    def landed(self) -> None:
        self.flying = {}

    def give_back(self) -> None:
        give_back(self)


class Gone(Value):
    """There is no such key: a deletion not yet written, or a look-up that found nothing, remembered."""

    __slots__ = ()

    def save(self, batch: Any) -> None:
        if self.saved == UNKNOWN:
            self.resolve()
        if self.saved is not None:
            batch.delete(self.db.prefix + self.key)
            if self.saved:
                batch.delete(keys.expiry_key(self.saved, self.db.epoch, self.key))
            self.saved = None


# Types by tag, filled as the modules of `types` are imported; the store knows no type by name.
TYPES: dict[int, type[Value]] = {}


def data_type(cls: type[Value]) -> type[Value]:
    """Register a data type under its tag."""
    if cls.tag in TYPES:
        raise ValueError(f"tag {cls.tag} is taken by {TYPES[cls.tag].__name__}")
    TYPES[cls.tag] = cls
    return cls
