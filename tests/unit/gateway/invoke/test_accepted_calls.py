"""What callers hear about a queue that cannot be asked."""

from __future__ import annotations

import asyncio

import pytest

from gateway.invoke.accepted_calls import AcceptedCalls
from swarmfn.jobs.records import Record
from swarmfn.jobs.redis_commands import unavailable
from swarmfn.jobs.redis_pools import Crowded
from swarmfn.jobs.submissions import Submissions
from swarmfn.wire.errors import QueueUnavailable


class Unasked(Submissions):
    """A queue whose client failed with `error`."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def record(self, call_id: str) -> Record | None:
        raise unavailable(self._error) from self._error


@pytest.mark.parametrize(
    ("error", "said"), [(Crowded("all were in use"), "is busy"), (ConnectionError("refused"), "does not answer")]
)
def test_a_lack_of_connections_is_not_called_an_outage(error: Exception, said: str) -> None:
    calls = AcceptedCalls(dict, Unasked(error))
    with pytest.raises(QueueUnavailable, match=f"{said}.*no call can be looked up"):
        asyncio.run(calls.record("a"))
