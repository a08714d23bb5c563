"""One attempt: the HTTP exchange with a replica."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable

from swarmfn.jobs.outgoing import function_headers, request_target
from swarmfn.upstream import BodyTooLarge, Broken, DeadlinePassed, NotSent, Response, Upstream
from swarmfn.upstream.balance import InFlight
from swarmfn.wire.headers import end_to_end
from swarmfn.wire.invocations import Invocation
from swarmfn.wire.replicas import ReplicaTable, Route
from swarmfn.wire.time_limits import is_about_over, says_killed, says_out_of_time
from worker.answers import Bytes, read_answer
from worker.budget import GrowingBudget
from worker.decisions import Answer, Failure
from worker.exchanges import head_of, send

_REPLICAS_TRIED = 3


class FunctionCaller:
    """Calls functions. Cancelling a call closes its connection, which stops the run in the watchdog.

    Of an answer above `max_result` only the beginning is kept, unless it goes to a callback; none above `max_response`
    is read. Large ones take of `budget`, where who calls is the holder, and has to release it.
    """

    def __init__(self, upstream: Upstream, max_response: int, max_result: int, budget: GrowingBudget) -> None:
        self._upstream = upstream
        self._max_response = max_response
        self._max_result = max_result
        self._budget = budget
        self._in_flight = InFlight()

    async def invoke(
        self, table: ReplicaTable, invocation: Invocation, body: bytes, attempt: int, holder: Hashable
    ) -> Answer | Failure:
        """Calls the function once. Past exec_timeout the answer is 504, and the connection is closed."""
        started = time.perf_counter()
        route = table.get(invocation.function)
        if route is None:
            return Failure("no such function is deployed", 0.0)
        try:
            answer = await self._try_replicas(route, invocation, body, attempt, holder)
        except Broken:
            seconds = time.perf_counter() - started
            if is_about_over(seconds, invocation.exec_timeout):
                # The watchdog, which counts the same seconds, has ended the run in the middle of its answer.
                return _past_exec_timeout(seconds)
            return Failure("the connection to the replica was lost", seconds)
        except DeadlinePassed as exc:
            if not exc.is_sent:
                # Not a word of the function's: whether its limit is shorter than that for connecting must not matter.
                return Failure("its replicas could not be reached in time", time.perf_counter() - started)
            return _past_exec_timeout(time.perf_counter() - started)
        except BodyTooLarge:
            problem = f"its answer has more than {self._max_response} bytes (max_response)"
            return Failure(problem, time.perf_counter() - started, is_hopeless=True, is_answered=True)
        except NotSent:
            problem = "its replicas refuse connections" if route.addresses else "it has no healthy replica"
            return Failure(problem, time.perf_counter() - started)
        except ValueError:
            return Failure("its stored request cannot be sent over HTTP", 0.0, is_hopeless=True)
        except _NoRoom:
            seconds = time.perf_counter() - started
            return Failure("the worker had no room for its answer before its time was up", seconds)
        if answer.status < 400:
            return answer
        seconds = time.perf_counter() - started
        is_late = says_out_of_time(answer.status, answer.body, seconds, invocation.exec_timeout)
        return _past_exec_timeout(seconds) if is_late or says_killed(answer.status, answer.body) else answer

    async def _try_replicas(
        self, route: Route, invocation: Invocation, body: bytes, attempt: int, holder: Hashable
    ) -> Answer:
        deadline = asyncio.get_running_loop().time() + invocation.exec_timeout
        headers = function_headers(invocation, attempt, time.time() + invocation.exec_timeout)
        is_head = invocation.method == "HEAD"
        for address in self._in_flight.order(route.addresses)[:_REPLICAS_TRIED]:
            head = head_of(invocation.method, request_target(invocation), address, headers, len(body))
            self._in_flight.enter(address)
            started = time.perf_counter()
            try:
                response = await send(self._upstream, address, head, body, deadline, is_head)
                grow = _Growth(self._budget, holder, deadline)
                return await self._answer(
                    response, started, None if invocation.callback_url else self._max_result, grow
                )
            except NotSent:
                continue
            finally:
                self._in_flight.leave(address)
        raise NotSent(invocation.function, "has no replica that takes connections")

    async def _answer(self, response: Response, started: float, kept: int | None, grow: _Growth) -> Answer:
        content: Bytes | None
        try:
            content = response.complete_body()
            if content is not None:
                size = len(content)
            else:
                content, size = await read_answer(response, self._max_response, kept, grow)
        except DeadlinePassed:
            # It may have been us who kept the function waiting.
            if grow.has_waited:
                raise _NoRoom from None
            raise
        finally:
            response.abort()
        headers = end_to_end((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers)
        return Answer(response.status, headers, content, time.perf_counter() - started, size)


def _past_exec_timeout(seconds: float) -> Answer:
    return Answer(504, [], b"", seconds)


class _NoRoom(Exception):
    """There was no memory for an answer until its deadline."""


class _Growth:
    """Takes memory for one answer, until its deadline."""

    def __init__(self, budget: GrowingBudget, holder: Hashable, deadline: float) -> None:
        self._budget = budget
        self._holder = holder
        self._deadline = deadline
        self.has_waited = False

    async def __call__(self, size: int) -> None:
        """Raises _NoRoom."""
        if self._budget.has_room(self._holder, size):
            self._budget.take(self._holder, size)
            return
        self.has_waited = True
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._budget.grow(self._holder, size)
        except TimeoutError:
            raise _NoRoom from None
