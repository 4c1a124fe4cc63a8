"""In process: whoever opens the store owns it, unless he says that he is somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import redis.exceptions

import diskkv


@pytest.fixture
def owner(tmp_path: Any) -> Iterator[Any]:
    with diskkv.open(tmp_path / "store", decode_responses=True, requirepass="secret") as client:
        client.execute_command("ACL", "SETUSER", "ada", "on", ">pw", "%R~a*", "+@all")
        client.set("a1", "x")
        client.set("b1", "y")
        yield client


def test_the_owner_needs_no_password_and_loses_no_rights(owner: Any) -> None:
    owner.execute_command("ACL", "SETUSER", "default", "off", "-@all", "resetkeys")
    assert owner.acl_whoami() == "default"
    assert owner.get("b1") == "y"
    assert owner.pipeline().get("b1").execute() == ["y"]


def test_a_user_has_the_users_rights_on_every_way(owner: Any, tmp_path: Any) -> None:
    with diskkv.open(tmp_path / "store", decode_responses=True, username="ada", password="pw") as ada:
        assert ada.acl_whoami() == "ada"
        assert ada.get("a1") == "x"
        assert ada.mget("a1") == ["x"]
        for refused in (
            lambda: ada.get("b1"), lambda: ada.set("a1", "z"), lambda: ada.exists("b1"), lambda: ada.mget("a1", "b1"),
            lambda: ada.hget("b1", "f"), lambda: ada.incr("a1"), lambda: ada.pipeline().get("b1").execute(), lambda: ada.blpop("b1", 1),
        ):  # fmt: skip
            with pytest.raises(redis.exceptions.NoPermissionError):
                refused()
        assert ada.get("a1") == "x"
        owner.execute_command("ACL", "SETUSER", "ada", "~b*")
        assert ada.get("b1") == "y"
        owner.execute_command("ACL", "DELUSER", "ada")
        with pytest.raises(redis.exceptions.ConnectionError):
            ada.get("b1")
    assert owner.get("b1") == "y"


def test_a_wrong_password_opens_nothing(owner: Any, tmp_path: Any) -> None:
    for wrong in ({"username": "ada", "password": "x"}, {"username": "eve"}, {"password": "x"}):
        with pytest.raises(redis.exceptions.AuthenticationError):
            diskkv.open(tmp_path / "store", **wrong)
    with diskkv.open(tmp_path / "store", password="secret") as client:
        assert client.acl_whoami() == "default"


def test_auth_does_not_change_who_all_threads_are(owner: Any) -> None:
    with pytest.raises(redis.exceptions.RedisError):
        owner.execute_command("AUTH", "ada", "pw")
    assert owner.acl_whoami() == "default"
    assert owner.get("b1") == "y"
    pipe = owner.pipeline(transaction=False)
    pipe.execute_command("AUTH", "ada", "pw").get("b1")
    assert [type(reply).__name__ for reply in pipe.execute(raise_on_error=False)][1] == "NoPermissionError"
    assert owner.pipeline().get("b1").execute() == ["y"]


def test_asyncio(owner: Any, tmp_path: Any) -> None:
    async def main() -> None:
        async with diskkv.open_async(tmp_path / "store", username="ada", password="pw", decode_responses=True) as ada:
            assert await ada.acl_whoami() == "ada"
            assert await ada.get("a1") == "x"
            with pytest.raises(redis.exceptions.NoPermissionError):
                await ada.get("b1")

    asyncio.run(main())
