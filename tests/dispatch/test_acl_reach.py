"""No command reaches a key that its key specs do not name, nor changes one that they say is only read: access control rests on that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from diskkv.dispatch.keyspecs import LISTED
from diskkv.dispatch.positions import NoKeys, key_uses, takes_keys
from diskkv.dispatch.table import TABLE, Command
from diskkv.errors import CommandError
from diskkv.store.database import Database
from tests.differential.grammar import Table
from tests.differential.hazards import hazardous
from tests.differential.tables import TABLES
from tests.differential.words import Source
from tests.support.runner import Runner

# These look at keys that nobody names, and are so with Redis, too; SORT's BY and GET have a rule of their own.
WHOLE = {"scan", "keys", "randomkey", "flushall", "flushdb", "swapdb", "dbsize", "exec", "sort", "sort_ro", "discard", "unwatch", "reset"}
# Words about keys that reach none.
NAMING = {"command|getkeys", "command|getkeysandflags", "cluster|keyslot"}
DRAWN = 6_000
# RW alone: PFCOUNT changes what it keeps beside the value.
WRITING = {"insert", "delete", "update", "RW"}


class Reach:
    """What was looked at and what was changed, by key."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: set[bytes] = set()
        self.changed: set[bytes] = set()
        for name, noted in (
            ("find", self.seen), ("peek", self.seen), ("replace", self.changed), ("delete", self.changed), ("signal", self.changed),
        ):  # fmt: skip
            monkeypatch.setattr(Database, name, self._noting(getattr(Database, name), noted))

    @staticmethod
    def _noting(method: object, noted: set[bytes]) -> object:
        def call(self: Database, key: bytes, *args: object, **options: object) -> object:
            noted.add(key)
            assert callable(method)
            return method(self, key, *args, **options)

        return call

    def clear(self) -> None:
        self.seen.clear()
        self.changed.clear()


@pytest.fixture
def run() -> Iterator[Runner]:
    runner = Runner(":memory:")
    yield runner
    runner.close()


def test_commands_touch_what_their_specs_name(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    reach = Reach(monkeypatch)
    source = Source("reach")
    tables = [Table(text) for group, text in TABLES.items() if group != "alone"]
    touching = 0
    for _ in range(DRAWN):
        argv = source.rng.choice(tables).draw(source)
        found = run.executor.find(argv)
        if hazardous(argv) or isinstance(found, CommandError) or found.name in WHOLE or run.session.queue is not None:
            run.executor.reset(run.session)
            continue
        try:
            uses = key_uses(found, argv)
        except (NoKeys, IndexError):
            uses = []
        reach.clear()
        run(*argv)
        named = {argv[position] for position, _ in uses if position < len(argv)}
        written = {argv[position] for position, flags in uses if position < len(argv) and not WRITING.isdisjoint(flags)}
        assert reach.seen | reach.changed <= named, argv
        assert reach.changed <= written, argv
        touching += bool(reach.seen)
    assert touching > DRAWN // 3


def every_command() -> Iterator[Command]:
    for name, command in TABLE.items():
        if name == command.name.encode():
            yield command
            yield from command.subcommands.values()


def test_whoever_has_keys_in_the_usage_line_has_specs(run: Runner) -> None:
    words = {"key", "source", "destination", "newkey", "key1", "key2", "destkey", "numkeys", "sourcekey", "destinationkey"}
    for command in every_command():
        line = command.usage.replace("[", " ").replace("]", " ").replace("|", " ").replace("<", " ").replace(">", " ")
        if words & set(line.split()) and command.name not in NAMING:
            assert command.name in LISTED or takes_keys(command), command.usage
