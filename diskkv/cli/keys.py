"""`diskkv keys`: what takes the space, and what is used most."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

import click

from diskkv.cli.bars import bar, printable, size
from diskkv.cli.connecting import connect, open_store, server_options

BATCH = 500
# Prefixes beyond so many are counted together: memory stays bounded whatever the keys' names are.
PREFIXES = 10_000
OTHERS = b"(others)"
LENGTHS = {
    b"string": ("STRLEN", "bytes"),
    b"list": ("LLEN", "elements"),
    b"hash": ("HLEN", "fields"),
    b"set": ("SCARD", "members"),
    b"zset": ("ZCARD", "members"),
    b"stream": ("XLEN", "entries"),
    b"array": ("ARCOUNT", "elements"),
}


class Shares:
    """Keys and bytes by some name."""

    def __init__(self, limit: int) -> None:
        self.by_name: dict[bytes, list[int]] = {}
        self._limit = limit

    def add(self, name: bytes, weight: int) -> None:
        if name not in self.by_name and len(self.by_name) >= self._limit:
            name = OTHERS
        entry = self.by_name.setdefault(name, [0, 0])
        entry[0] += 1
        entry[1] += weight

    def show(self, title: str, top: int, scale: float) -> None:
        """The heaviest, with a bar for each one's share of all."""
        total = sum(weight for _, weight in self.by_name.values()) or 1
        click.echo(f"\n{title}")
        heaviest = sorted(self.by_name.items(), key=lambda each: -each[1][1])
        for name, (count, weight) in heaviest[:top]:
            part = weight / total
            keys = round(count * scale)
            click.echo(f"  {printable(name, 30):<30} {bar(part, 24)} {100 * part:5.1f} %  {size(weight * scale):>10}  {keys:>12,} keys")
        if len(heaviest) > top:
            click.echo(f"  and {len(heaviest) - top} more")


class Best:
    """The few keys of the highest number."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._heap: list[tuple[int, bytes, bytes]] = []
        self._names: set[bytes] = set()

    def add(self, number: int, name: bytes, kind: bytes) -> None:
        if name in self._names:
            return  # a key may be met twice
        entry = (number, name, kind)
        if len(self._heap) < self._limit:
            heapq.heappush(self._heap, entry)
            self._names.add(name)
        elif entry > self._heap[0]:
            self._names.add(name)
            self._names.discard(heapq.heapreplace(self._heap, entry)[1])

    def ordered(self) -> list[tuple[int, bytes, bytes]]:
        return sorted(self._heap, reverse=True)


@click.command(context_settings={"help_option_names": ["--help"]})
@click.argument("path", required=False, type=click.Path(exists=True, file_okay=False))
@server_options
@click.option("-n", "database", type=click.IntRange(0), default=0, help="Database number.")
@click.option("--sizes", "sizes", is_flag=True, help="What takes the space, by type and by prefix up to the first ':'.")
@click.option("--big", is_flag=True, help="The largest keys.")
@click.option("--hot", is_flag=True, help="The keys used most; the server must count (maxmemory-policy allkeys-lfu).")
@click.option("--sample", type=click.IntRange(1), default=None, help="Look at so many random keys instead of all.")
@click.option("--top", type=click.IntRange(1, 10_000), default=10, show_default=True, help="How many to show of each.")
def keys(path: str | None, *, database: int, sizes: bool, big: bool, hot: bool, sample: int | None, top: int, **server: Any) -> None:
    """Show what takes the space, in a server or in the store at PATH that nobody has open.

    Without options it is --sizes and --big. Keys are looked at a few hundred at a time while others use the server.
    """
    import redis

    if not (sizes or big or hot):
        sizes = big = True
    client = open_store(path, database) if path else connect(**server, database=database)
    try:
        _survey(client, sizes=sizes, big=big, hot=hot, sample=sample, top=top)
    except redis.RedisError as error:
        raise click.ClickException(str(error)) from None
    finally:
        client.close()


def _survey(client: Any, *, sizes: bool, big: bool, hot: bool, sample: int | None, top: int) -> None:
    by_type, by_prefix, largest, hottest = Shares(100), Shares(PREFIXES), Best(top), Best(top)
    seen = weight = 0
    for names in _sampled(client, sample) if sample else _all(client):
        pipe = client.pipeline(transaction=False)
        for name in names:
            pipe.execute_command("TYPE", name)
            pipe.execute_command("MEMORY", "USAGE", name)
            if hot:
                pipe.execute_command("OBJECT", "FREQ", name)
        # Of a key that has gone meanwhile there is nothing, or an error, to be passed over.
        replies = pipe.execute(raise_on_error=False)
        step = 3 if hot else 2
        for at, name in enumerate(names):
            kind, used, *uses = replies[at * step : at * step + step]
            if uses and isinstance(uses[0], Exception) and "LFU" in str(uses[0]):
                raise click.ClickException("uses are not counted: CONFIG SET maxmemory-policy allkeys-lfu, and look again later")
            if not isinstance(used, int):
                continue
            kind = kind if isinstance(kind, bytes) else str(kind).encode()
            seen += 1
            weight += used
            if sizes:
                by_type.add(kind, used)
                prefix, colon, _ = name.partition(b":")
                by_prefix.add(prefix + colon if colon else b"(no prefix)", used)
            largest.add(used, name, kind)
            if uses and isinstance(uses[0], int):
                hottest.add(uses[0], name, kind)
    total = client.dbsize()
    scale = total / seen if sample and seen else 1.0
    click.echo(f"{seen:,} keys{f' of {total:,}' if sample else ''}, about {size(weight * scale)}, {size(weight / max(1, seen))} a key")
    if sizes:
        by_type.show("By type", top, scale)
        by_prefix.show("By prefix", top, scale)
    if big:
        click.echo("\nLargest")
        most = max((used for used, _, _ in largest.ordered()), default=1)
        for used, name, kind in largest.ordered():
            click.echo(f"  {bar(used / most, 24)} {size(used):>10}  {kind.decode():<7} {_length(client, name, kind):<20} {printable(name)}")
    if hot:
        click.echo("\nMost used, by a logarithmic count up to 255")
        for uses_of, name, kind in hottest.ordered():
            click.echo(f"  {bar(uses_of / 255, 24)} {uses_of:>3}  {kind.decode():<7} {printable(name)}")


def _all(client: Any) -> Iterator[list[bytes]]:
    cursor = 0
    while True:
        cursor, names = client.scan(cursor, count=BATCH)
        if names:
            yield list(names)
        if not cursor:
            return


def _sampled(client: Any, wanted: int) -> Iterator[list[bytes]]:
    """Random keys; one may come more than once."""
    while wanted > 0:
        pipe = client.pipeline(transaction=False)
        for _ in range(min(BATCH, wanted)):
            pipe.execute_command("RANDOMKEY")
        names = [name for name in pipe.execute() if name is not None]
        if not names:
            return
        wanted -= BATCH
        yield names


def _length(client: Any, name: bytes, kind: bytes) -> str:
    if kind not in LENGTHS:
        return ""
    command, unit = LENGTHS[kind]
    import redis

    try:
        return f"{client.execute_command(command, name):,} {unit}"
    except redis.ResponseError:
        return "(gone)"
