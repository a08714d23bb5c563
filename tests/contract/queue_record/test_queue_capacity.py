"""How a gateway counts what it has stored since it last looked at Redis."""

from __future__ import annotations

import pytest

from gateway.invoke.queue_capacity import QueueCapacity
from swarmfn.jobs.redis_clients import connect
from swarmfn.wire.errors import QueueUnavailable
from tests.support.queue_stage import QueueStage

MIB = 2**20


def test_a_call_counts_until_redis_itself_tells_what_it_takes(stage: QueueStage) -> None:
    async def take_and_settle() -> None:
        async with connect(stage.server.address, stage.server.password) as connections:
            now = QueueCapacity(connections.commands, 0, 0)
            await now.look()
            assert now.view is not None
            capacity = QueueCapacity(connections.commands, now.view.used + 8 * MIB, 0)
            await capacity.look()
            capacity.take(6 * MIB)
            with pytest.raises(QueueUnavailable):
                capacity.take(6 * MIB)
            await capacity.look()  # it is still on its way, and nothing of it in Redis's answer
            with pytest.raises(QueueUnavailable):
                capacity.take(6 * MIB)
            capacity.settle(6 * MIB)
            with pytest.raises(QueueUnavailable):
                capacity.take(6 * MIB)
            await capacity.look()  # nothing was stored in truth, so there is room again
            capacity.take(6 * MIB)

    stage.run(take_and_settle())
