"""A worker that starts under the name of another one: whether that lives is told by what it says in Redis."""

from __future__ import annotations

import asyncio
import os
import subprocess

import pytest
from redis.typing import EncodableT, FieldT

from swarmfn.jobs import keys
from tests.support.queue_stage import QueueStage
from worker.namesake import Namesake

HERE = "here"
SAID = "2030-01-01T00:00:00.000000Z"


def looked(stage: QueueStage, lease: float = 60.0) -> bool:
    """Whether there was another one, once there is none any more."""
    namesake = Namesake(stage.redis, "w1", HERE)
    stage.run(namesake.wait_until_gone(lease))
    return namesake.was_there


def entry(stage: QueueStage, **changed: str | int) -> None:
    fields: dict[FieldT, EncodableT] = {"hostname": HERE, "last_heartbeat": SAID}
    stage.redis.hset(keys.worker("w1"), mapping=fields | changed)


def test_nobody_has_the_name(stage: QueueStage) -> None:
    assert not looked(stage)
    stage.redis.hset(keys.worker("w1"), "queues", "echo")
    assert not looked(stage)


@pytest.mark.parametrize("pid", ["", "none", "our own"])
def test_a_process_here_that_is_none_or_ourselves_is_dead(stage: QueueStage, pid: str) -> None:
    entry(stage, pid=str(os.getpid()) if pid == "our own" else pid)
    assert looked(stage)


def test_a_process_here_that_has_ended_is_dead(stage: QueueStage) -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    entry(stage, pid=ended.pid)
    assert looked(stage)


def test_one_that_said_goodbye_is_dead_wherever_it_was(stage: QueueStage) -> None:
    entry(stage, hostname="elsewhere", pid=1, death=SAID)
    assert looked(stage)


@pytest.mark.parametrize("hostname", [HERE, "elsewhere"])
def test_one_that_says_anything_meanwhile_lives(stage: QueueStage, hostname: str) -> None:
    async def look_while_it_says_something() -> None:
        looking = asyncio.create_task(Namesake(stage.redis, "w1", HERE).wait_until_gone(60.0))
        await asyncio.sleep(0.1)
        await stage.client.hset(keys.worker("w1"), "last_heartbeat", SAID.replace("00Z", "01Z"))
        await looking

    with subprocess.Popen(["sleep", "60"]) as process:
        entry(stage, hostname=hostname, pid=process.pid)
        try:
            with pytest.raises(ValueError, match="There exists an active worker named 'w1' already"):
                stage.run(look_while_it_says_something())
        finally:
            process.kill()


def test_one_elsewhere_that_says_nothing_for_a_lease_is_dead(
    stage: QueueStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.namesake._SLACK", 0.0)
    entry(stage, hostname="elsewhere", pid=os.getpid())
    assert looked(stage, lease=0.3)
