"""client-output-buffer-limit's soft limit: who is over it for too long without a break is dropped. Time is the test's own."""

from __future__ import annotations

import pytest

from tests.support.runner import Runner
from tests.support.still import Kept


@pytest.fixture
def kept(run: Runner) -> Kept:
    run("CONFIG", "SET", "client-output-buffer-limit", "normal 0 1000 10 pubsub 0 5000 2")
    return Kept(run)


def test_over_it_for_too_long(kept: Kept) -> None:
    connection, transport = kept.connect()
    _, other = kept.connect()
    transport.size, other.size = 1001, 1000
    for at in (0, 5, 10):
        kept.keep_house(at)
        assert not transport.aborted
    kept.keep_house(10.5)
    assert transport.aborted and connection.closing
    assert not other.aborted


@pytest.mark.parametrize("between", [0, 1000])
def test_a_break_counts(kept: Kept, between: int) -> None:
    _, transport = kept.connect()
    for at, size in ((0, 2000), (5, between), (6, 2000), (16, 2000)):
        transport.size = size
        kept.keep_house(at)
        assert not transport.aborted
    kept.keep_house(16.5)
    assert transport.aborted


def test_reading_on_is_no_break_while_too_much_waits(kept: Kept) -> None:
    connection, transport = kept.connect()
    transport.size = 9000
    kept.keep_house(0)
    connection.pause_writing()
    transport.size = 4000
    connection.resume_writing()
    kept.keep_house(10.5)
    assert transport.aborted


def test_each_class_of_clients_has_its_own(run: Runner, kept: Kept) -> None:
    connection, transport = kept.connect()
    run("SUBSCRIBE", "c", session=connection.session)
    transport.size = 5000
    for at in (0, 20):
        kept.keep_house(at)
        assert not transport.aborted
    transport.size = 5001
    kept.keep_house(21)
    kept.keep_house(23.5)
    assert transport.aborted
