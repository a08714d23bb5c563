"""Every form of `faas_redis_address`."""

from __future__ import annotations

import pytest

from swarmfn.wire.environment import Environment
from swarmfn.wire.errors import SettingsError
from swarmfn.wire.redis_address import RedisAddress, parse_redis_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("redis", RedisAddress("redis")),
        ("redis:6379", RedisAddress("redis")),
        ("my-redis.example.com:7000", RedisAddress("my-redis.example.com", 7000)),
        ("10.0.0.1:1", RedisAddress("10.0.0.1", 1)),
        ("[::1]:7000", RedisAddress("::1", 7000)),
        ("[fe80::1%eth0]", RedisAddress("fe80::1%eth0")),
        ("tasks.data_redis:6379", RedisAddress("tasks.data_redis")),
        ("redis://redis", RedisAddress("redis")),
        ("redis://127.0.0.1:6379", RedisAddress("127.0.0.1")),
        ("redis://127.0.0.1:6379/", RedisAddress("127.0.0.1")),
        ("redis://[::1]:7000/3", RedisAddress("::1", 7000, database=3)),
        ("redis://host?db=2", RedisAddress("host", database=2)),
        ("redis://:p%40ss@host/0", RedisAddress("host", password="p@ss")),
        ("rediss://me:pw@host:6380", RedisAddress("host", 6380, is_tls=True, username="me", password="pw")),
        ("rediss://host?ssl_ca_certs=/etc/ca.pem", RedisAddress("host", is_tls=True, ca_certs="/etc/ca.pem")),
        ("unix:///run/redis.sock", RedisAddress(path="/run/redis.sock")),
        ("unix://:pw@/run/redis.sock?db=1", RedisAddress(path="/run/redis.sock", database=1, password="pw")),
    ],
)
def test_an_address_says_where_redis_is(text: str, address: RedisAddress) -> None:
    assert parse_redis_address(text) == address
    assert "pw" not in f"{address} {address!r}"


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:",
        "127.0.0.1:abc",
        "127.0.0.1:0",
        "127.0.0.1:-1",
        "127.0.0.1:99999",
        "127.0.0.1:6379/1",
        "127.0.0.1: 6379",
        "::1",
        "::1:6379",
        "[::1",
        "[localhost]:1",
        ":6379",
        "/run/redis.sock",
        "user:pw@127.0.0.1:6379",
        "host name",
        "host..name",
        "[:::::]:6379",
        "[::1]extra:6379",
        "redis://",
        "redis://host:abc",
        "redis://host/one",
        "redis://host/-1",
        "redis://host#1",
        "redis://host?timeout=3",
        "redis://host?ssl_ca_certs=/etc/ca.pem",
        "http://host:80",
        "unix://run/redis.sock",
        "unix://",
        "redis-sentinel://host",
    ],
)
def test_what_cannot_be_used_is_refused_at_the_start(text: str) -> None:
    env = Environment({"faas_redis_address": text})
    env.redis_address("faas_redis_address", "redis:6379")
    with pytest.raises(SettingsError, match="cannot start: faas_redis_address: expected host:port") as refusal:
        env.finish()
    assert "pw" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://u:hush://hush@host:x", "redis://…@host:x"),
        ("redis://host:6379?password=hush", "redis://host:6379?…"),
        ("redis://me:hush", "redis://me:…"),
        ("redis://:hush/hush@host", "redis://…@host"),
        ("me:hush@host:abc", "…@host:abc"),
        ("redis://[::1]:6379/hello", "redis://[::1]:6379/hello"),
        ("127.0.0.1:abc", "127.0.0.1:abc"),
    ],
)
def test_a_refusal_shows_no_password(text: str, shown: str) -> None:
    with pytest.raises(ValueError, match="expected host:port") as refusal:
        parse_redis_address(text)
    assert str(refusal.value).endswith(f"got {shown!r}")


@pytest.mark.parametrize("url", ["redis://h:1/2", "rediss://[::1]:7/0", "unix:///run/a%20b.sock?db=3"])
def test_an_address_becomes_the_same_url_again(url: str) -> None:
    assert parse_redis_address(url).url == url


def test_a_url_of_an_address_has_no_password_in_it() -> None:
    assert parse_redis_address("rediss://me:hush@host:1/2").url == "rediss://host:1/2"
