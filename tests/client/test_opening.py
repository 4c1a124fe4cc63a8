"""Stores and processes: what is open, by whom, and for how long."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

import diskkv
from diskkv.client import shared

ROOT = Path(__file__).parents[2]


def python(code: str, *args: str) -> str:
    return subprocess.run([sys.executable, "-c", code, *args], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout


def test_importing_is_cheap() -> None:
    heavy = {"redis", "plyvel", "uvloop", "asyncio", "hiredis"}
    assert not heavy & set(python("import sys, diskkv; print(*sys.modules)").split())


def test_one_store_per_directory(path: str, tmp_path: Path) -> None:
    first, second = diskkv.open(path), diskkv.open(Path(path) / ".." / "store", decode_responses=True)
    first.set("a", 1)
    assert second.get("a") == "1"
    first.close()
    first.close()
    assert second.get("a") == "1"
    second.close()
    assert not any(place.startswith(str(tmp_path)) for place in shared._open)
    with diskkv.open(path) as again:
        assert again.get("a") == b"1"


def test_memory_is_not_shared() -> None:
    with diskkv.open(":memory:") as one, diskkv.open(":memory:") as other:
        one.set("a", 1)
        assert other.get("a") is None


def test_settings(path: str) -> None:
    with diskkv.open(path, maxmemory="64mb", hash_max_listpack_entries=5) as r:
        assert r.hset("h", mapping={str(number): 1 for number in range(6)}) == 6
        with pytest.raises(diskkv.SettingError, match="already open"):
            diskkv.open(path, maxmemory="128mb")
        diskkv.open(path, maxmemory="64mb").close()
    with pytest.raises(diskkv.SettingError):
        diskkv.open(path, no_such_setting=1)


def test_another_process_has_it(path: str) -> None:
    with diskkv.open(path):
        code = "import sys, diskkv\ntry: diskkv.open(sys.argv[1])\nexcept diskkv.StoreLocked as error: print(error)"
        assert "in use by another process" in python(code, path)


def test_what_was_not_closed_is_closed_at_exit(path: str) -> None:
    python("import sys, diskkv; diskkv.open(sys.argv[1]).set('a', 1)", path)
    python("import sys, diskkv; r = diskkv.open(sys.argv[1]); r.incr('a')", path)
    with diskkv.open(path) as r:
        assert r.get("a") == b"2"


def test_a_forgotten_client_lets_go(path: str) -> None:
    r = diskkv.open(path)
    held = r._shared
    pipe = r.pipeline()
    pipe.watch("a")
    del r, pipe
    gc.collect()
    held.over.wait(20)
    with diskkv.open(path) as again:
        assert again.ping()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_does_not_inherit_it(path: str) -> None:
    code = """if True:
        import os, sys, diskkv
        r = diskkv.open(sys.argv[1])
        r.set("a", 1)
        child = os.fork()
        if not child:
            for call in (lambda: r.get("a"), lambda: r.set("a", 2), lambda: diskkv.open(sys.argv[1])):
                try:
                    call()
                except Exception as error:
                    print(type(error).__name__, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        print(r.get("a"))
    """
    assert python(code, path).split() == ["ConnectionError", "ConnectionError", "StoreError", "b'1'"]


def test_a_log_that_cannot_be_written(r: diskkv.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    r.set("a", 1)
    r.set("b", 1, px=1)

    def full() -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(r._shared.store.log, "commit", full)
        broken.setattr(r._shared.store.log, "probe", full)
        for call in (lambda: r.set("a", 2), lambda: r.incr("a"), lambda: r.pipeline().set("a", 3).execute()):
            with pytest.raises(redis.ResponseError, match="MISCONF"):
                call()
            assert r.get("a") == b"1"
