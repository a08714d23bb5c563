"""What a gateway makes of its view of Redis."""

from __future__ import annotations

import pytest

from gateway.invoke.queue_capacity import EXACT_UP_TO, QueueCapacity, RedisView
from swarmfn.wire.errors import QueueUnavailable

MIB = 2**20


def capacity(max_memory: int | None = None, max_depth: int = 100_000, used: int = 0, limit: int = 0) -> QueueCapacity:
    made = QueueCapacity(None, max_memory, max_depth)
    made.see(RedisView(used, limit, 0, ("deep", 60_000), frozenset({"deep"})))
    return made


def test_a_high_limit_is_compared_only_where_it_is_near() -> None:
    assert capacity().depth_limit("shallow") == 0
    assert capacity().depth_limit("deep") == 100_000
    assert capacity(max_depth=EXACT_UP_TO).depth_limit("shallow") == EXACT_UP_TO


def test_nobody_knows_how_near_it_is_without_a_view() -> None:
    blind = QueueCapacity(None, None, 100_000)
    assert blind.depth_limit("any") == 100_000
    blind.require(10**9)


def test_a_quarter_of_redis_is_kept_for_results() -> None:
    assert capacity(limit=400 * MIB).max_memory == 300 * MIB
    assert capacity(max_memory=0, limit=400 * MIB).max_memory == 0
    assert capacity().max_memory == 0


def test_what_was_accepted_since_the_last_look_counts() -> None:
    here = capacity(limit=400 * MIB, used=200 * MIB)
    here.require(90 * MIB)
    here.take(90 * MIB)
    here.settle(90 * MIB)
    here.take(1 * MIB)
    with pytest.raises(QueueUnavailable, match=r"200 MiB.* up to 300 MiB \(queue_max_memory") as refusal:
        here.require(20 * MIB)
    assert refusal.value.retry_after == 5.0
    with pytest.raises(QueueUnavailable):
        here.take(20 * MIB)
    here.take(5 * MIB)
