"""Addresses, and what clients are told when Redis fails."""

from __future__ import annotations

import pytest
import redis
import redis.asyncio
from redis.exceptions import OutOfMemoryError, ResponseError

from swarmfn.jobs.redis_clients import connect, connect_blocking, connect_like
from swarmfn.jobs.redis_commands import unavailable
from swarmfn.jobs.redis_pools import Crowded


@pytest.mark.parametrize(
    ("address", "expected", "kind"),
    [
        ("redis:7000", {"host": "redis", "port": 7000, "db": 0, "password": "secret"}, "Connection"),
        ("redis://me:pw@h/3", {"host": "h", "port": 6379, "db": 3, "username": "me"}, "Connection"),
        ("rediss://h?ssl_ca_certs=/ca", {"host": "h", "port": 6379, "ssl_ca_certs": "/ca"}, "SSLConnection"),
        ("unix:///run/redis.sock?db=2", {"path": "/run/redis.sock", "db": 2}, "UnixDomainSocketConnection"),
    ],
)
def test_every_client_goes_where_the_address_says(address: str, expected: dict[str, object], kind: str) -> None:
    connections, blocking = connect(address, "secret"), connect_blocking(address, "secret")
    for client in (connections.commands, connections.transfers, connections.vital, blocking):
        pool = client.connection_pool
        # The secret file goes before a password in the address.
        assert {**expected, "password": "secret"}.items() <= pool.connection_kwargs.items()
        assert kind in {base.__name__ for base in pool.connection_class.__mro__}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionError("refused"), "does not answer"),
        (TimeoutError(), "does not answer"),
        (Crowded("all 8 connections were in use"), "is busy"),
        (OutOfMemoryError("command not allowed"), "has no memory left"),
        (ResponseError("READONLY"), "refused to store it"),
    ],
)
def test_a_failure_of_redis_is_a_503_that_says_which(error: Exception, said: str) -> None:
    problem = unavailable(error)
    assert problem.status == 503
    assert said in str(problem)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://user:pw@host:7000/3", {"host": "host", "port": 7000, "db": 3, "username": "user", "password": "pw"}),
        ("unix:///run/redis.sock?db=2", {"path": "/run/redis.sock", "db": 2}),
        ("rediss://host:7001/0", {"host": "host", "port": 7001}),
    ],
)
def test_a_client_like_another_goes_to_the_same_place(url: str, expected: dict[str, object]) -> None:
    other = redis.Redis.from_url(url)
    connections = connect_like(other)
    for client in (connections.commands, connections.transfers, connections.vital):
        pool = client.connection_pool
        assert expected.items() <= pool.connection_kwargs.items()
        assert issubclass(pool.connection_class, redis.asyncio.SSLConnection) == url.startswith("rediss")
