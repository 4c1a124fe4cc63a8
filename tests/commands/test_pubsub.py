"""SUBSCRIBE and its kin, PUBLISH, PUBSUB."""

from __future__ import annotations

import random

from diskkv.errors import CommandError
from diskkv.replies import OK, PONG, QUEUED, Push, Several, Simple
from tests.support.listening import Listener
from tests.support.oracle import plain, start
from tests.support.runner import Runner


def test_messages_reach_channels_and_patterns(run: Runner) -> None:
    front = Listener()
    session = run.executor.open_session(front)
    assert run("SUBSCRIBE", "news", "sport", session=session) == Several(
        [Push((b"subscribe", b"news", 1)), Push((b"subscribe", b"sport", 2))]
    )
    assert run("PSUBSCRIBE", "n*", session=session) == Several([Push((b"psubscribe", b"n*", 3))])
    assert run("PUBLISH", "news", "hello") == 2
    assert run("PUBLISH", "nothing", "hi") == 1
    assert run("PUBLISH", "other", "hi") == 0
    assert front.pushed == [
        (b"message", b"news", b"hello"), (b"pmessage", b"n*", b"news", b"hello"), (b"pmessage", b"n*", b"nothing", b"hi"),
    ]  # fmt: skip
    assert run("PUBSUB", "CHANNELS") == [b"news", b"sport"]
    assert run("PUBSUB", "CHANNELS", "s*") == [b"sport"]
    assert run("PUBSUB", "NUMSUB", "news", "none") == [b"news", 1, b"none", 0]
    assert run("PUBSUB", "NUMPAT") == 1
    run.executor.close_session(session)
    assert run("PUBLISH", "news", "hello") == 0
    assert run("PUBSUB", "NUMPAT") == 0


def test_unsubscribing_from_all(run: Runner) -> None:
    assert run("UNSUBSCRIBE") == Several([Push((b"unsubscribe", None, 0))])
    run("SUBSCRIBE", "a", "b")
    assert run("UNSUBSCRIBE") == Several([Push((b"unsubscribe", b"a", 1)), Push((b"unsubscribe", b"b", 0))])
    assert run("GET", "a") is None


def test_resp2_subscribers_may_do_little(run: Runner) -> None:
    run("SUBSCRIBE", "a")
    for argv in (["GET", "a"], ["PUBLISH", "a", "b"], ["PUBSUB", "NUMPAT"], ["MULTI"]):
        reply = run(*argv)
        assert isinstance(reply, CommandError)
        assert reply.text.startswith("Can't execute '"), argv
    assert run("PING") == [b"pong", b""]
    assert run("RESET") == Simple(b"RESET")
    assert run("GET", "a") is None


def test_resp3_subscribers_may_do_everything(run: Runner) -> None:
    run("HELLO", 3)
    run("SUBSCRIBE", "a")
    assert run("PING") == PONG
    assert run("SET", "a", 1) == OK


def test_subscribing_in_a_transaction(run: Runner) -> None:
    run("MULTI")
    assert run("SUBSCRIBE", "a") == QUEUED
    assert run("PING") == QUEUED
    assert run("EXEC") == [Several([Push((b"subscribe", b"a", 1))]), [b"pong", b""]]


def test_random_subscriptions_answer_as_redis(run: Runner) -> None:
    oracle = start()
    rng = random.Random(5)
    try:
        for step in range(600):
            names = rng.sample(["a", "b", "ab", "*", "a*", "?"], rng.randrange(3))
            argv = rng.choice(
                [
                    ["SUBSCRIBE", *names], ["UNSUBSCRIBE", *names[:1]], ["PSUBSCRIBE", *names], ["PUNSUBSCRIBE", *names[:1]], ["PING"],
                    ["PING", "x"], ["GET", "a"], ["RESET"], ["PUBSUB", "NUMPAT"], ["PUBSUB", "NUMSUB", *names], ["PUBSUB", "x"],
                    ["PUBSUB"],
                ]
            )  # fmt: skip
            if argv[0].startswith("UN") or argv[0].startswith("PUN"):
                argv = argv[:2] if len(argv) > 1 else [*argv, "none"]
            reply = run(*argv)
            replies = reply.items if isinstance(reply, Several) else [reply]
            assert plain(replies[0]) == oracle.run(*argv), (step, argv)
            for more in replies[1:]:
                assert plain(more) == oracle.next()
    finally:
        oracle.close()
