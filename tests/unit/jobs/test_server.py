"""What is found wrong with a Redis, by its answer to INFO."""

from __future__ import annotations

import pytest

from swarmfn.jobs.server import SHORTCOMINGS, shortcomings

WELL = {
    "redis_version": "7.0.15",
    "maxmemory_policy": "noeviction",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "rdb_last_bgsave_status": "ok",
    "role": "master",
}


@pytest.mark.parametrize("version", ["7.0.0", "7.2.4", "8.0.1", "10.0.0"])
def test_a_redis_as_it_has_to_be_is_passed_over(version: str) -> None:
    assert shortcomings({**WELL, "redis_version": version}) == {}


def test_what_a_redis_does_not_tell_is_not_held_against_it() -> None:
    assert shortcomings({}) == {}


@pytest.mark.parametrize(
    ("kind", "answer", "said"),
    [
        ("too_old", {"redis_version": "6.2.14"}, "it is 6.2.14, and the queue needs 7.0 or newer"),
        ("too_old", {"redis_version": "2.8.0"}, "2.8.0"),
        ("evicting", {"maxmemory_policy": "allkeys-lru"}, "its maxmemory-policy is allkeys-lru"),
        ("evicting", {"maxmemory_policy": "volatile-ttl"}, "volatile-ttl"),
        ("not_persistent", {"aof_enabled": 0}, "its append-only file is off"),
        ("cannot_save", {"aof_last_write_status": "err"}, "cannot write to its disk"),
        ("cannot_save", {"rdb_last_bgsave_status": "err"}, "cannot write to its disk"),
        ("read_only", {"role": "slave", "master_host": "other"}, "a replica of other"),
    ],
)
def test_each_shortcoming_is_named(kind: str, answer: dict[str, object], said: str) -> None:
    assert kind in SHORTCOMINGS
    found = shortcomings({**WELL, **answer})
    assert set(found) == {kind}
    assert said in found[kind]
