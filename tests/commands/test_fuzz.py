"""No command, whatever its words, is an internal error, or leaves the store other than it says it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.fuzzing import Fuzzer, furniture
from tests.support.runner import Runner

COMMANDS = 1500


@pytest.mark.parametrize("seed", range(1, 4))
def test_commands_that_nobody_would_send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    # DEBUG and CONFIG write what they write beside the store.
    monkeypatch.chdir(tmp_path)
    run = Runner(tmp_path / "store")
    fuzzer = Fuzzer(seed)
    try:
        for number in range(COMMANDS):
            if number % 500 == 0:
                run("DISCARD")
                run("SELECT", 0)
                run("FLUSHALL")
                for words in furniture():
                    run(*words)
            words = fuzzer.command()
            session = run.executor.open_session()
            reply = run(*words, session=session)
            run.executor.close_session(session)
            shown = b" ".join(word[:60] for word in words)
            assert "internal error" not in str(reply) if isinstance(reply, Exception) else True, shown
        assert run.findings() == []
        run.reopen()
        assert run.findings() == []
    finally:
        run.close()


def test_what_was_found_so() -> None:
    run = Runner(":memory:")
    try:
        for cursor in (b"9" * 5000, b"-" + b"9" * 5000, b"18446744073709551616"):
            assert str(run("ZSCAN", "key", cursor)) == "ERR invalid cursor"
        assert run("SSCAN", "key", b"0" * 5000) == [b"0", []]
        for name in ("channels", "shardchannels"):
            assert "unknown subcommand or wrong number of arguments" in str(run("PUBSUB", name, "a", "b"))
    finally:
        run.close()
