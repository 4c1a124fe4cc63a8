"""A disk that is really full: a small tmpfs where that can be mounted (root), else a limit on the size of files."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from diskkv.errors import LogFailed, StoreError
from diskkv.replies import OK, POSTPONED
from diskkv.store import writer
from diskkv.store.store import PROBE_MS
from tests.support.contents import contents, copy_of
from tests.support.runner import Runner

MEGABYTES = 24


@dataclass
class Place:
    """A directory where room can run out, and what makes room again."""

    path: Path
    free: Callable[[], None]


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Place]:
    """A file system of a few megabytes, most of them taken by a ballast file."""
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(mounted)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root may mount a small tmpfs; the limit on the size of files stands in for it")
    ballast = mounted / "ballast"
    ballast.write_bytes(b"\0" * ((MEGABYTES - 4) << 20))
    try:
        yield Place(mounted, ballast.unlink)
    finally:
        subprocess.run(["umount", "-l", str(mounted)], check=True)


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Place]:
    """No file may grow beyond two megabytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def free() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, hard))
    try:
        yield Place(tmp_path, free)
    finally:
        free()
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("kind", ["tmpfs", "limited"])
@pytest.mark.parametrize("with_checkpoints", [False, True], ids=["log", "checkpoints"])
def test_a_full_disk_refuses_writers_serves_readers_and_heals(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, with_checkpoints: bool
) -> None:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.01)
    place: Place = request.getfixturevalue(kind)
    calm = Runner(":memory:")
    size = "256kb" if with_checkpoints else "1gb"
    run = Runner(place.path / "store", clock=calm.clock, maxmemory="8mb", checkpoint_log_size=size)
    store = run.executor.store
    refused = 0
    for number in range(4000):
        command = ("SET", f"k{number % 1500}", os.urandom(4000))
        try:
            reply = run(*command)
        except LogFailed:
            refused += 1
            break
        if "MISCONF" in str(reply) or reply is POSTPONED:
            refused += 1
            break
        calm(*command)
    assert refused, "the disk was not full"
    assert contents(store) == contents(calm.executor.store)
    for _ in range(3):
        with contextlib.suppress(LogFailed):
            reply = run("SET", "refused", 1)
            if reply is OK:
                # It is small enough to fit still, or LevelDB has meanwhile tidied up.
                calm("SET", "refused", 1)
            else:
                assert "MISCONF" in str(reply) or reply is POSTPONED, reply
        calm.clock.advance(PROBE_MS + 1)
    for number in (0, 1, 700):
        assert run("GET", f"k{number}") == calm("GET", f"k{number}")
    place.free()
    # A kill now loses nothing.
    with store.lock:
        copy = copy_of(run.path, tmp_path / "killed")
    killed = Runner(copy, clock=calm.clock)
    assert contents(killed.executor.store) == contents(calm.executor.store)
    assert killed.findings() == []
    killed.close()
    # And the store itself goes on by itself.
    with store.lock:
        while store.writer.healing:
            store.landed.wait()
    calm.clock.advance(PROBE_MS + 1)
    for number in range(50):
        command = ("SET", f"after{number}", os.urandom(4000))
        with store.lock:
            store.wait_for_room()
        assert str(run(*command)) == str(calm(*command))
    assert contents(store) == contents(calm.executor.store)
    # LevelDB may have met the full disk in the background: it tells so at its next write, and has to be opened anew then.
    with store.lock:
        with contextlib.suppress(StoreError):
            store.checkpoint()
        while store.writer.healing:
            store.landed.wait()
    assert run.findings() == []
    run.reopen()
    assert contents(run.executor.store) == contents(calm.executor.store)
    run.close()
    calm.close()
