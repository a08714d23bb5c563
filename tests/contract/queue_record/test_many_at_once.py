"""More requests at once than there are connections: all of them wait for their turn, and what is vital does not."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import redis

from swarmfn.jobs.records import Record
from swarmfn.jobs.redis_clients import Connections, connect
from swarmfn.jobs.redis_commands import command
from swarmfn.jobs.redis_pools import Crowded
from tests.support.queue_stage import QueueStage, invocation, success

MANY = 200
LARGE = b"x" * 70_000


def test_many_large_bodies_at_once_are_all_stored_and_fetched(stage: QueueStage) -> None:
    async def submit() -> list[object]:
        calls = [invocation(f"c{number}") for number in range(MANY)]
        return await asyncio.gather(*(stage.submissions.submit(call, LARGE) for call in calls))

    assert stage.run(submit()) == [True] * MANY
    claims = [claim for _ in range(MANY // 100) for claim in stage.claim(count=100)]
    assert len(claims) == MANY

    async def run() -> list[bool]:
        bodies = await asyncio.gather(*(stage.worker.body(claim) for claim in claims))
        assert set(bodies) == {LARGE}
        return await asyncio.gather(*(stage.worker.finish(claim, success(LARGE)) for claim in claims))

    assert stage.run(run()) == [True] * MANY
    _few_connections(stage)


def test_many_questions_at_once_are_all_answered(stage: QueueStage) -> None:
    stage.submit("c1")

    async def ask() -> list[Record | None]:
        return await asyncio.gather(*(stage.submissions.record("c1") for _ in range(MANY)))

    assert all(record is not None and record.state == "queued" for record in stage.run(ask()))
    _few_connections(stage)


def _few_connections(stage: QueueStage) -> None:
    ours = [client for client in stage.redis.client_list() if client["name"] == "swarmfn"]
    assert len(ours) <= 56


def test_leases_are_renewed_while_every_other_connection_is_taken(stage: QueueStage) -> None:
    stage.submit("c1")
    claim = stage.claim_one()

    async def renew() -> None:
        held = [await client.connection_pool.get_connection() for client in _busy(stage.connections)]
        try:
            async with asyncio.timeout(5):
                assert await stage.worker.renew([claim]) == frozenset()
                await stage.worker.promote()
        finally:
            for client, connection in zip(_busy(stage.connections), held, strict=True):
                await client.connection_pool.release(connection)

    stage.run(renew())
    assert stage.finish(claim)


def _busy(connections: Connections) -> list[redis.asyncio.Redis]:
    clients = (connections.commands, connections.transfers)
    return [client for client in clients for _ in range(client.connection_pool.max_connections)]


def test_waiting_for_a_connection_ends_and_is_no_outage(stage: QueueStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarmfn.jobs.redis_clients._PATIENCE", 0.05)

    async def wait() -> None:
        async with connect(stage.server.address, stage.server.password) as connections:
            pool: Any = connections.transfers.connection_pool
            held = [await pool.get_connection() for _ in range(pool.max_connections)]
            with pytest.raises(Crowded):
                await command(connections.transfers, "PING")
            pool._patience = None
            # A caller that gives up, is cancelled or fails gives its place back.
            waiting = asyncio.create_task(command(connections.transfers, "PING"))
            await asyncio.sleep(0)
            waiting.cancel()
            for connection in held:
                await pool.release(connection)
            assert await asyncio.gather(*(command(connections.transfers, "PING") for _ in range(40))) == [True] * 40

    stage.run(wait())


def test_failed_connections_leave_room_for_others(stage: QueueStage) -> None:
    async def fail_then_work() -> None:
        async with connect(stage.server.address, "wrong") as connections:
            began = time.monotonic()
            failed = await asyncio.gather(
                *(command(connections.transfers, "PING") for _ in range(40)), return_exceptions=True
            )
            assert {type(error) for error in failed} == {redis.AuthenticationError}
            assert time.monotonic() - began < 30

    stage.run(fail_then_work())
