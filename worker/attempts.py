"""One attempt: the HTTP exchange with a replica, or with a callback's receiver."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from swarmfn.jobs.outgoing import callback_target, function_headers, request_target
from swarmfn.upstream import BodyTooLarge, Broken, DeadlinePassed, NotSent, Response, Upstream, request_head
from swarmfn.upstream.balance import InFlight
from swarmfn.wire.headers import Headers, end_to_end
from swarmfn.wire.invocations import Delivery, Invocation
from swarmfn.wire.replicas import ReplicaTable
from worker.decisions import Answer, Failure

_REPLICAS_TRIED = 3


class Caller:
    """Makes attempts. Cancelling one closes its connection, which stops the run in the watchdog."""

    def __init__(
        self, upstream: Upstream, host_aliases: Mapping[str, str], max_response: int, callback_timeout: float
    ) -> None:
        self._upstream = upstream
        self._aliases = host_aliases
        self._max_response = max_response
        self._callback_timeout = callback_timeout
        self._in_flight = InFlight()

    async def invoke(self, table: ReplicaTable, invocation: Invocation, body: bytes, attempt: int) -> Answer | Failure:
        """Calls the function once. Past exec_timeout the answer is 504, and the connection is closed."""
        started = time.perf_counter()
        route = table.get(invocation.function)
        if route is None:
            return Failure("no such function is deployed", 0.0)
        headers = function_headers(invocation, attempt, time.time() + invocation.exec_timeout)
        deadline = asyncio.get_running_loop().time() + invocation.exec_timeout
        for address in self._in_flight.order(route.addresses)[:_REPLICAS_TRIED]:
            head = _head(invocation.method, request_target(invocation), address, headers, len(body))
            self._in_flight.enter(address)
            try:
                return await self._exchange(address, head, body, invocation.method == "HEAD", deadline, started)
            except NotSent:
                continue
            except Broken:
                return Failure("the connection to the replica was lost", time.perf_counter() - started)
            except DeadlinePassed:
                return Answer(504, [], b"", time.perf_counter() - started)
            finally:
                self._in_flight.leave(address)
        problem = "its replicas refuse connections" if route.addresses else "it has no healthy replica"
        return Failure(problem, time.perf_counter() - started)

    async def deliver(self, delivery: Delivery, body: bytes) -> Answer | Failure:
        """Offers a result to its callback URL once. Redirects are not followed; the time limit is a total one."""
        started = time.perf_counter()
        try:
            parts = urlsplit(delivery.url)
            tls = parts.scheme == "https"
            host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
            named = f"{host}:{parts.port or (443 if tls else 80)}"
            head = _head("POST", callback_target(parts.path, parts.query), parts.netloc, delivery.headers, len(body))
        except ValueError:
            return Failure("the callback URL or its headers cannot be sent", 0.0)
        deadline = asyncio.get_running_loop().time() + self._callback_timeout
        address = self._aliases.get(named.lower(), named)
        try:
            return await self._exchange(address, head, body, False, deadline, started, tls=tls)
        except DeadlinePassed:
            return Failure("the receiver did not answer in time", time.perf_counter() - started)
        except (NotSent, Broken):
            return Failure("the receiver could not be reached", time.perf_counter() - started)

    async def _exchange(
        self, address: str, head: bytes, body: bytes, is_head: bool, deadline: float, started: float, tls: bool = False
    ) -> Answer:
        response = await self._send(address, head, body, is_head, deadline, tls)
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

    async def _send(
        self, address: str, head: bytes, body: bytes, is_head: bool, deadline: float, tls: bool
    ) -> Response:
        try:
            return await self._upstream.exchange(
                address, head, body, method_is_head=is_head, deadline=deadline, tls=tls
            )
        except Broken as exc:
            if not exc.is_reused:
                raise
        # Most likely the replica closed an idle connection just as it was used. If it died in mid-run instead, the
        # call would be tried again anyway: invocations run at least once.
        return await self._upstream.exchange(address, head, body, method_is_head=is_head, deadline=deadline, tls=tls)


def _head(method: str, target: str, host: str, headers: Headers, length: int) -> bytes:
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    pairs.append((b"Content-Length", str(length).encode()))
    return request_head(method, target.encode("latin-1"), host, pairs)
