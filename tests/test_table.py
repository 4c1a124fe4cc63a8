"""The command table against Redis': each difference stands in data/deviations.tsv with its reason, and each such line is still true."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from diskkv import commands
from diskkv.dispatch.table import OURS, TABLE, Command, Flag
from tests.differential import deviations
from tests.support.oracle import start

commands.load()
LISTED = Path(__file__).resolve().parent.parent / "data" / "redis-commands.tsv"

# Flags worked out from a command's keys, which are in the list for some only; those of later versions, or that COMMAND does not show.
NOT_LISTED = {"movablekeys", "no_mandatory_keys"}
LATER = {"protected", "sentinel", "touches_arbitrary_keys"}


def ours() -> Iterator[Command]:
    for name, command in TABLE.items():
        if name == command.name.encode():
            yield command
            yield from command.subcommands.values()


def flags_of(command: Command) -> set[str]:
    return {str(flag.name).lower() for flag in Flag if command.flags & flag & ~OURS}


def shown(aspect: str, here: object, there: object) -> tuple[str, str, str]:
    return aspect, str(here), str(there)


def flag_difference(here: set[str], there: set[str]) -> Iterator[tuple[str, str, str]]:
    if here != there:
        yield shown("flags", " ".join(sorted(here - there)) or "none", " ".join(sorted(there - here)) or "none")


def against_the_list() -> Iterator[tuple[str, str, str, str]]:
    """command, aspect, ours, theirs."""
    with LISTED.open(newline="") as file:
        rows = {row["name"].lower().replace(" ", "|"): row for row in csv.DictReader(file, delimiter="\t")}
    for command in ours():
        row = rows.get(command.name)
        if row is None:
            yield command.name, "listed", "yes", "no"
            continue
        if command.arity != int(row["arity"]):
            yield command.name, "arity", str(command.arity), row["arity"]
        if command.since != row["since"]:
            yield command.name, "since", command.since, row["since"]
        there = {flag.lower() for flag in row["flags"].split(",") if flag} - LATER - NOT_LISTED
        for difference in flag_difference(flags_of(command) - NOT_LISTED, there):
            yield command.name, *difference


def against_the_oracle() -> Iterator[tuple[str, str, str, str]]:
    oracle = start()
    try:
        described = {}
        for entry in oracle.run("COMMAND"):
            described[entry[0].decode()] = entry
            described |= {sub[0].decode(): sub for sub in entry[9]}
    finally:
        oracle.close()
    for command in ours():
        entry = described.get(command.name)
        if entry is None:
            yield command.name, "known", "yes", "no"
            continue
        if command.arity != entry[1]:
            yield command.name, "arity", str(command.arity), str(entry[1])
        for difference in flag_difference(flags_of(command), {flag.decode() for flag in entry[2]}):
            yield command.name, *difference
        keys = (command.keys.first, command.keys.last, command.keys.step if command.keys.first else 0)
        if keys != tuple(entry[3:6]):
            yield command.name, "keys", str(keys), str(tuple(entry[3:6]))


@pytest.mark.parametrize(("condition", "found"), [("@table-list", against_the_list), ("@table-7.0", against_the_oracle)])
def test_every_difference_is_listed_with_a_reason(condition: str, found: object) -> None:
    listed = [deviation for deviation in deviations.load().listed if deviation.condition == condition]
    unexplained = []
    met = set()
    assert callable(found)
    for name, aspect, here, there in found():
        line, left, right = name.replace("|", " ").upper(), f"{aspect}: {here}", f"{aspect}: {there}"
        fitting = [
            one for one in listed if one.command.fullmatch(line) and one.diskkv.fullmatch(left) and one.redis.fullmatch(right)
        ]
        met |= {one.id for one in fitting}
        if not fitting:
            unexplained.append(f"{line}\t{condition}\t{left}\t{right}")
    assert unexplained == []
    assert {one.id for one in listed} - met == set(), "these lines are not true any more"


def test_every_command_says_what_it_does() -> None:
    for command in ours():
        assert command.summary, command.name
        assert command.summary.endswith("."), command.name
        assert command.usage.split(" ")[: command.name.count("|") + 1] == command.name.upper().split("|"), command.name
