"""How a real Redis that is not as it has to be is noticed, and what helps when it has become a replica."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest
from redis.exceptions import ReadOnlyError

from gateway.redis_watch import RedisWatch
from swarmfn.jobs.redis_clients import connect
from swarmfn.jobs.redis_commands import command
from swarmfn.jobs.server import OLDEST, ServerTooOld, require_supported
from tests.support.queue_stage import QueueStage


@pytest.fixture
def watch(stage: QueueStage) -> Iterator[RedisWatch]:
    yield RedisWatch(stage.client)
    stage.redis.config_set("maxmemory-policy", "noeviction")


def kinds(watch: RedisWatch) -> set[str]:
    """As the metric says it."""
    (family,) = watch.collect()
    return {sample.labels["kind"] for sample in family.samples if sample.value}


def test_what_is_wrong_is_said_once_and_shown_until_it_is_mended(
    stage: QueueStage, watch: RedisWatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stage.run(watch.look())
    assert (watch.sentences(), kinds(watch)) == ([], set())
    stage.redis.config_set("maxmemory-policy", "volatile-lru")
    for _ in range(2):
        stage.run(watch.look())
    assert "volatile-lru" in watch.sentences()[0]
    assert kinds(watch) == {"evicting"}
    stage.redis.config_set("maxmemory-policy", "noeviction")
    stage.run(watch.look())
    assert (watch.sentences(), kinds(watch)) == ([], set())
    said = [record.getMessage() for record in caplog.records if record.name == "gateway.redis_watch"]
    assert len(said) == 2
    assert said[1] == f"no longer the case: {said[0]}"


def test_a_replica_is_named_and_left_for_the_server_that_the_name_leads_to(
    stage: QueueStage, watch: RedisWatch
) -> None:
    async def numbers(count: int) -> set[int]:
        """The connections that `count` commands at once go over."""
        return set(await asyncio.gather(*(command(stage.client, "CLIENT", "ID") for _ in range(count))))

    before = stage.run(numbers(5))
    assert stage.run(numbers(5)) == before
    untyped = stage.redis
    untyped.replicaof("127.0.0.1", 1)
    try:
        with pytest.raises(ReadOnlyError):
            stage.run(command(stage.client, "SET", "a", "b"))
        stage.run(watch.look())
        assert kinds(watch) == {"read_only"}
        stage.connections.begin_anew()
        after = stage.run(numbers(5))
        assert len(after) == 5
        assert not after & before
        assert stage.run(numbers(5)) == after
    finally:
        untyped.replicaof("NO", "ONE")


def test_a_server_that_is_too_old_is_refused(stage: QueueStage, monkeypatch: pytest.MonkeyPatch) -> None:
    require_supported(stage.redis)
    monkeypatch.setattr("swarmfn.jobs.server.OLDEST", (OLDEST[0] + 90, 0))
    with pytest.raises(ServerTooOld, match=r"too old: it is 7\.\d+\.\d+, and the queue needs 97\.0 or newer"):
        require_supported(stage.redis)


def test_the_address_may_be_a_url(stage: QueueStage) -> None:
    async def ask() -> bytes:
        async with connect(f"{stage.server.url.removesuffix('0')}3", None) as connections:
            await command(connections.vital, "SET", "there", "yes")
            return bytes(await command(connections.transfers, "GET", "there"))

    assert stage.run(ask()) == b"yes"
    assert stage.redis.info("keyspace")["db3"]["keys"] == 1
    assert stage.redis.get("there") is None
