"""Libraries of functions: what FUNCTION LOAD keeps in the store, and what is known of each function without asking Lua."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diskkv.dispatch.args import quoted
from diskkv.errors import CommandError
from diskkv.format.meta import pack_items, unpack_items
from diskkv.lib.words import split_words
from diskkv.resp.decode import decode

if TYPE_CHECKING:
    from diskkv.scripting.scripts import Scripts
    from diskkv.store.store import Store

PREFIX = b"library:"
NAME = re.compile(rb"[A-Za-z0-9_]+")
BAD_NAME = "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"
# Redis' limit for the code that FUNCTION LOAD runs, in ms.
LOAD_TIMEOUT = 500


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a library."""

    name: bytes
    description: bytes | None
    flags: int


@dataclass(frozen=True, slots=True)
class Library:
    """A library: the code as it was loaded, and its functions."""

    name: bytes
    code: bytes
    functions: tuple[Function, ...]

    def pack(self) -> bytes:
        """The document that it is kept as."""
        items: list[bytes | int | None] = [self.code]
        for function in self.functions:
            items += [function.name, function.description, function.flags]
        return pack_items(items)

    @classmethod
    def unpack(cls, name: bytes, raw: bytes) -> Library:
        """The library that `pack` packed."""
        items = unpack_items(raw)
        return cls(name, items[0], tuple(map(Function, items[1::3], items[2::3], items[3::3])))


class Libraries:
    """All libraries of a store. Kept as its documents, and read anew when these are others than before (opening, undoing)."""

    def __init__(self, store: Store, scripts: Scripts) -> None:
        self._store = store
        self._scripts = scripts
        self._version = -1
        self._libraries: dict[bytes, Library] = {}
        self._functions: dict[bytes, tuple[Library, Function]] = {}

    def all(self) -> dict[bytes, Library]:
        """The libraries by name."""
        documents = self._store.documents
        if self._version != documents.version:
            self._version = documents.version
            self._libraries = {name: Library.unpack(name, raw) for name, raw in sorted(documents.named(PREFIX).items())}
            self._functions = {
                function.name.lower(): (library, function) for library in self._libraries.values() for function in library.functions
            }
        return self._libraries

    def function(self, name: bytes) -> tuple[Library, Function]:
        """A function and its library. CommandError when there is none of that name."""
        self.all()
        found = self._functions.get(name.partition(b"\0")[0].lower())
        if found is None:
            raise CommandError("Function not found")
        return found

    def count(self) -> int:
        """How many functions there are."""
        self.all()
        return len(self._functions)

    # -- changing

    def load(self, code: bytes, *, replace: bool) -> bytes:
        """Run a library's code and keep it; its name. CommandError when it can't be had, and then nothing has changed."""
        library = self.read(code, replace=replace)
        self._store.documents.put(PREFIX + library.name, library.pack())
        return library.name

    def read(self, code: bytes, *, replace: bool) -> Library:
        """The library that a code makes, if it may be kept beside the others."""
        name, body = read_metadata(code)
        others = dict(self.all())
        if name in others and not replace:
            raise CommandError(f"Library '{name.decode()}' already exists")
        library = self._run(name, code, body)
        taken = {function.name.lower() for other in others.values() if other.name != name for function in other.functions}
        refuse_taken(library, taken)
        return library

    def _run(self, name: bytes, code: bytes, body: bytes) -> Library:
        # What the child has under that name is no longer what the store has, whatever becomes of it.
        self._scripts.await_child()
        self._scripts.lua().libraries.pop(name, None)
        frame = self._scripts.ask(b"B2%b\n%b" % (name, body), -1 if self._store.replaying else LOAD_TIMEOUT)
        if frame is None:
            raise CommandError("Error registering functions: ERR FUNCTION LOAD timeout")
        if frame[0] == 0x65:
            raise CommandError(frame[1][1:].decode("utf-8", "surrogateescape"))
        found = decode(frame[1])
        if not found:
            raise CommandError("No functions registered")
        library = Library(name, code, tuple(map(Function, found[::3], found[1::3], found[2::3])))
        self._scripts.lua().libraries[name] = code
        return library

    def provide(self, library: Library) -> None:
        """Have the child know a library as it is now."""
        if self._scripts.lua().libraries.get(library.name) != library.code:
            self._run(library.name, library.code, read_metadata(library.code)[1])

    def delete(self, name: bytes) -> None:
        """Forget a library. CommandError when there is none of that name."""
        if name not in self.all():
            raise CommandError("Library not found")
        self._store.documents.put(PREFIX + name, None)
        self._scripts.retire()

    def flush(self) -> None:
        """Forget all libraries."""
        for name in self.all().copy():
            self._store.documents.put(PREFIX + name, None)
        self._scripts.retire()

    def restore(self, codes: Iterable[bytes], policy: bytes) -> None:
        """Take libraries over; `policy` is FLUSH, APPEND or REPLACE. CommandError when they can't be, and then nothing has changed."""
        given: dict[bytes, Library] = {}
        taken: set[bytes] = set()
        for code in codes:
            name, body = read_metadata(code)
            if name in given:
                raise CommandError(f"Library '{name.decode()}' already exists")
            library = self._run(name, code, body)
            refuse_taken(library, taken)
            taken.update(function.name.lower() for function in library.functions)
            given[name] = library
        kept = {} if policy == b"FLUSH" else dict(self.all())
        for name in given:
            if kept.pop(name, None) is not None and policy != b"REPLACE":
                raise CommandError(f"Library {name.decode()} already exists")
        others = {function.name.lower() for other in kept.values() for function in other.functions}
        for library in given.values():
            refuse_taken(library, others)
        for name in self.all().copy():
            if name not in kept:
                self._store.documents.put(PREFIX + name, None)
        for library in given.values():
            self._store.documents.put(PREFIX + library.name, library.pack())
        # A FLUSH of nothing by nothing is a change for Redis, and is logged.
        self._store.changes += 1


def refuse_taken(library: Library, taken: set[bytes]) -> None:
    """CommandError when a library has a function whose name is taken."""
    for function in library.functions:
        if function.name.lower() in taken:
            raise CommandError(f"Function {function.name.decode()} already exists")


def read_metadata(code: bytes) -> tuple[bytes, bytes]:
    """A library's name, and its code without the first line's words."""
    if not code.startswith(b"#!"):
        raise CommandError("Missing library metadata")
    line, newline, _ = code.partition(b"\n")
    words = split_words(line) if newline and b"\0" not in line else None
    if not words:
        raise CommandError("Invalid library metadata")
    name = None
    for word in words[1:]:
        if word[:5].lower() != b"name=":
            raise CommandError(f"Invalid metadata value given: {quoted(word)}")
        if name is not None:
            raise CommandError("Invalid metadata value, name argument was given multiple times")
        name = word[5:]
    if name is None:
        raise CommandError("Library name was not given")
    if not NAME.fullmatch(name):
        raise CommandError(BAD_NAME)
    # As Redis', which knows its engines by names of any case.
    if words[0][2:].lower() != b"lua":
        raise CommandError(f"Engine '{quoted(words[0][2:])}' not found")
    return name, code[len(line) :]
