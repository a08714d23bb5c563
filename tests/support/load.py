"""Many calls on their way while something goes wrong, and the count of what became of them."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from types import TracebackType

from swarmfn.jobs.redis_clients import connect
from swarmfn.jobs.submissions import Submissions
from swarmfn.wire.errors import QueueUnavailable
from tests.support.http import Answer, Received, RecordingServer
from tests.support.queue_stage import QueueStage, invocation
from tests.support.waiting import wait_until
from tests.support.worker_process import publish

_AT_ONCE = 20


class Load:
    """Submits `count` calls of a function that takes a few milliseconds, beginning when the `with` block does.

    A call that Redis did not acknowledge is sent again until it is, as a careful client would.
    """

    def __init__(self, stage: QueueStage, count: int, seed: int, longest: float = 0.02) -> None:
        self.count = count
        self.accepted: set[str] = set()
        self._stage = stage
        self._random = random.Random(seed)
        self._longest = longest
        self._function = RecordingServer(self._answer)
        self._submitter = threading.Thread(target=lambda: asyncio.run(self._submit_all()))

    @property
    def started(self) -> int:
        """How often the function was called so far."""
        return len(self._function.received)

    def wait_for_starts(self, share: float) -> None:
        """Returns when the function has been called for about this share of the calls."""
        wait_until(lambda: self.started >= self.count * share, 120, f"{share:.0%} of the calls have begun")

    def executions(self) -> Counter[str]:
        """How often each call ran, by its id."""
        return Counter(str(request.header("X-Call-Id")) for request in self._function.received)

    def repeated(self) -> dict[str, int]:
        return {call_id: times for call_id, times in self.executions().items() if times > 1}

    def assert_all_succeed(self, timeout: float = 120.0) -> None:
        """Every call is accepted in the end, and every accepted one succeeds; the books balance."""
        self._submitter.join(timeout)
        assert len(self.accepted) == self.count
        ledger = self._stage.ledger
        wait_until(lambda: ledger.final() >= self.count, timeout, "every call is final")
        states = Counter(self._stage.record(call_id).state for call_id in self.accepted)
        assert states == {"succeeded": self.count}
        assert set(self.executions()) == self.accepted
        assert (ledger.total("accepted"), ledger.total("succeeded")) == (self.count, self.count)
        ledger.assert_balanced()
        wait_until(self._stage.nothing_claimed, message="no claim is left")

    def _answer(self, request: Received) -> Answer:
        time.sleep(self._random.uniform(0, self._longest))
        return 200, [], request.body

    async def _submit_all(self) -> None:
        client = connect(self._stage.server.address, self._stage.server.password)
        submissions = Submissions(client)
        free = asyncio.Semaphore(_AT_ONCE)
        try:
            await asyncio.gather(*(self._submit(submissions, free, f"c{number}") for number in range(self.count)))
        finally:
            await client.aclose()

    async def _submit(self, submissions: Submissions, free: asyncio.Semaphore, call_id: str) -> None:
        call = invocation(call_id, exec_timeout=30)
        async with free:
            while call_id not in self.accepted:
                try:
                    assert await submissions.submit(call, call_id.encode()), f"{call_id} was taken"
                    self.accepted.add(call_id)
                except QueueUnavailable:
                    await asyncio.sleep(0.1)

    def __enter__(self) -> Load:
        self._function.__enter__()
        publish(self._stage.redis, {"echo": self._function.address}, exec_timeout=30)
        self._submitter.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._submitter.join(60)
        self._function.__exit__(kind, exc, trace)
