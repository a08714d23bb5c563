"""One attempt: the HTTP exchange with a replica."""

from __future__ import annotations

import asyncio
import time

from swarmfn.jobs.outgoing import function_headers, request_target
from swarmfn.upstream import BodyTooLarge, Broken, DeadlinePassed, NotSent, Response, Upstream
from swarmfn.upstream.balance import InFlight
from swarmfn.wire.headers import end_to_end
from swarmfn.wire.invocations import Invocation
from swarmfn.wire.replicas import ReplicaTable, Route
from worker.decisions import Answer, Failure
from worker.exchanges import head_of, send

_REPLICAS_TRIED = 3


class FunctionCaller:
    """Calls functions. Cancelling a call closes its connection, which stops the run in the watchdog."""

    def __init__(self, upstream: Upstream, max_response: int) -> None:
        self._upstream = upstream
        self._max_response = max_response
        self._in_flight = InFlight()

    async def invoke(self, table: ReplicaTable, invocation: Invocation, body: bytes, attempt: int) -> Answer | Failure:
        """Calls the function once. Past exec_timeout the answer is 504, and the connection is closed."""
        started = time.perf_counter()
        route = table.get(invocation.function)
        if route is None:
            return Failure("no such function is deployed", 0.0)
        try:
            return await self._try_replicas(route, invocation, body, attempt)
        except Broken:
            return Failure("the connection to the replica was lost", time.perf_counter() - started)
        except DeadlinePassed:
            return Answer(504, [], b"", time.perf_counter() - started)
        except NotSent:
            problem = "its replicas refuse connections" if route.addresses else "it has no healthy replica"
            return Failure(problem, time.perf_counter() - started)
        except ValueError:
            return Failure("its stored request cannot be sent over HTTP", 0.0, is_hopeless=True)

    async def _try_replicas(self, route: Route, invocation: Invocation, body: bytes, attempt: int) -> Answer:
        deadline = asyncio.get_running_loop().time() + invocation.exec_timeout
        headers = function_headers(invocation, attempt, time.time() + invocation.exec_timeout)
        is_head = invocation.method == "HEAD"
        for address in self._in_flight.order(route.addresses)[:_REPLICAS_TRIED]:
            head = head_of(invocation.method, request_target(invocation), address, headers, len(body))
            self._in_flight.enter(address)
            started = time.perf_counter()
            try:
                return await self._answer(await send(self._upstream, address, head, body, deadline, is_head), started)
            except NotSent:
                continue
            finally:
                self._in_flight.leave(address)
        raise NotSent(invocation.function, "has no replica that takes connections")

    async def _answer(self, response: Response, started: float) -> Answer:
        try:
            content = response.complete_body()
            if content is None:
                content = await response.read(limit=self._max_response)
        except BodyTooLarge:
            return Answer(502, [], b"", time.perf_counter() - started)
        finally:
            response.abort()
        headers = end_to_end((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers)
        return Answer(response.status, headers, content, time.perf_counter() - started)
