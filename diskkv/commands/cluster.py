"""CLUSTER and what belongs to it: answered as a Redis answers that is no part of a cluster."""

from __future__ import annotations

from typing import Any

from diskkv.dispatch.session import Session
from diskkv.dispatch.table import ADMIN, FAST, LOADING, NO_ASYNC_LOADING, NOSCRIPT, STALE, Flag, Keys, group, help_lines
from diskkv.errors import ClusterDisabled
from diskkv.lib.slots import key_slot

command = group("cluster")

CHANGING = NO_ASYNC_LOADING | ADMIN | STALE
ASKING_BACK = ADMIN | STALE
TELLING = LOADING | STALE

# Each of these needs a cluster: usage, flags, since when, and what it does where there is one.
NEED_A_CLUSTER: tuple[tuple[str, Flag, str, str], ...] = (
    ("CLUSTER ADDSLOTS slot [slot ...]", CHANGING, "3.0.0", "Assign slots to a node."),
    ("CLUSTER ADDSLOTSRANGE start-slot end-slot [start-slot end-slot ...]", CHANGING, "7.0.0", "Assign ranges of slots to a node."),
    ("CLUSTER BUMPEPOCH", CHANGING, "3.0.0", "Advance a cluster's configuration epoch."),
    ("CLUSTER COUNT-FAILURE-REPORTS node-id", ASKING_BACK, "3.0.0", "Return how many nodes report that one has failed."),
    ("CLUSTER COUNTKEYSINSLOT slot", STALE, "3.0.0", "Return how many keys are in a slot."),
    ("CLUSTER DELSLOTS slot [slot ...]", CHANGING, "3.0.0", "Unassign slots."),
    ("CLUSTER DELSLOTSRANGE start-slot end-slot [start-slot end-slot ...]", CHANGING, "7.0.0", "Unassign ranges of slots."),
    ("CLUSTER FAILOVER [FORCE | TAKEOVER]", CHANGING, "3.0.0", "Have a replica take over from its master."),
    ("CLUSTER FLUSHSLOTS", CHANGING, "3.0.0", "Unassign all slots."),
    ("CLUSTER FORGET node-id", CHANGING, "3.0.0", "Forget a node."),
    ("CLUSTER GETKEYSINSLOT slot count", STALE, "3.0.0", "Return keys of a slot."),
    ("CLUSTER INFO", STALE, "3.0.0", "Return how a cluster is."),
    ("CLUSTER LINKS", STALE, "7.0.0", "Return the connections between nodes."),
    ("CLUSTER MEET ip port [cluster-bus-port]", CHANGING, "3.0.0", "Make a node known to another."),
    ("CLUSTER MYID", STALE, "3.0.0", "Return the node's id."),
    ("CLUSTER MYSHARDID", STALE, "7.2.0", "Return the id of the node's shard."),
    ("CLUSTER NODES", STALE, "3.0.0", "Return what is known of all nodes."),
    ("CLUSTER REPLICAS node-id", ASKING_BACK, "5.0.0", "Return the replicas of a node."),
    ("CLUSTER REPLICATE node-id", CHANGING, "3.0.0", "Become a node's replica."),
    ("CLUSTER RESET [HARD | SOFT]", ASKING_BACK | NOSCRIPT, "3.0.0", "Leave a cluster."),
    ("CLUSTER SAVECONFIG", CHANGING, "3.0.0", "Write a node's configuration file."),
    ("CLUSTER SET-CONFIG-EPOCH config-epoch", CHANGING, "3.0.0", "Set a node's configuration epoch."),
    ("CLUSTER SETSLOT slot <IMPORTING node-id | MIGRATING node-id | NODE node-id | STABLE>", CHANGING, "3.0.0", "Move a slot."),
    ("CLUSTER SHARDS", TELLING, "7.0.0", "Return the shards, and the slots of each."),
    ("CLUSTER SLAVES node-id", ASKING_BACK, "3.0.0", "Return the replicas of a node."),
    ("CLUSTER SLOTS", TELLING, "3.0.0", "Return the slots, and the nodes of each."),
    ("ASKING", FAST, "3.0.0", "Have the next command served from a slot that is being imported."),
    ("READONLY", FAST | TELLING, "3.0.0", "Be content with a replica's answers."),
    ("READWRITE", FAST | TELLING, "3.0.0", "Be no longer content with a replica's answers."),
)  # fmt: skip
ARITIES = {"CLUSTER SETSLOT": -4}


def _declare(usage: str, flags: Flag, since: str, summary: str) -> None:
    def refuse(ctx: Session, *_: bytes) -> Any:
        raise ClusterDisabled

    refuse.__doc__ = f"{summary[:-1]}; there is no cluster here."
    arity = next((number for name, number in ARITIES.items() if usage.startswith(name)), None)
    command(usage, flags, since=since, arity=arity)(refuse)


for line in NEED_A_CLUSTER:
    _declare(*line)


@command("CLUSTER KEYSLOT key", STALE, since="3.0.0", keys=Keys())
def cluster_keyslot(ctx: Session, key: bytes) -> int:
    """Return the slot that a cluster would keep a key in."""
    return key_slot(key)


@command("CLUSTER HELP", TELLING, since="5.0.0")
def cluster_help(ctx: Session) -> Any:
    """Return this text."""
    return help_lines("cluster")
