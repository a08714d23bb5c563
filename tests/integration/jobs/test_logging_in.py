"""Opening a real Redis whose password is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from swarmfn.jobs.logging_in import MountedPasswords
from swarmfn.jobs.redis_clients import connect, connect_blocking, connect_like
from tests.support.redis_server import RedisServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, whose password is `old`."""
    with RedisServer(tmp_path, password="old") as server:
        yield server


def ping(server: RedisServer, folder: Path) -> None:
    """Over each kind of client, with new connections."""
    passwords = MountedPasswords(folder)

    async def by_loop(blocking: redis.Redis) -> None:
        async with connect(server.address, passwords) as gateway_s, connect_like(blocking) as worker_s:
            await gateway_s.commands.ping()
            await worker_s.vital.ping()

    with connect_blocking(server.address, passwords) as client:
        client.ping()
        asyncio.run(by_loop(client))


def test_the_password_is_read_for_each_new_connection(server: RedisServer, tmp_path: Path) -> None:
    with connect_blocking(server.address, MountedPasswords(tmp_path)) as client:
        (tmp_path / "redis-password").write_text("old\n")
        client.ping()
        client.config_set("requirepass", "new one")
        (tmp_path / "redis-password").write_text("new one")
        client.connection_pool.disconnect()
        client.ping()


def test_the_password_of_before_is_tried_as_well(server: RedisServer, tmp_path: Path) -> None:
    (tmp_path / "redis-password").write_text("new")
    with pytest.raises(redis.AuthenticationError):
        ping(server, tmp_path)
    (tmp_path / "redis-password-previous").write_text("old")
    ping(server, tmp_path)
    with redis.Redis.from_url(server.url) as client:
        client.config_set("requirepass", "new")
    ping(server, tmp_path)


def test_a_url_s_password_is_used_where_no_file_is(server: RedisServer, tmp_path: Path) -> None:
    with connect_blocking(f"redis://:old@{server.address}", MountedPasswords(tmp_path)) as client:
        client.ping()


def test_a_user_of_redis_that_may_not_name_its_connection_works(server: RedisServer) -> None:
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "plain", "on", ">pw", "~*", "&*", "+@all", "-client|setname")

    async def by_loop() -> None:
        async with connect(f"redis://plain:pw@{server.address}", None) as connections:
            await connections.commands.ping()

    with connect_blocking(f"redis://plain:pw@{server.address}", None) as client:
        client.ping()
    asyncio.run(by_loop())


def test_connections_have_our_name_where_that_is_allowed(server: RedisServer) -> None:
    with connect_blocking(server.address, "old") as client:
        assert {entry["name"] for entry in client.client_list()} == {"swarmfn"}
