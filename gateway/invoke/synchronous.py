"""A synchronous call: choose a replica, send the request, hand back the answer as it comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial

from gateway.call_metrics import InvocationMetrics
from gateway.invoke import forwarding
from gateway.invoke.credentials import Credentials
from gateway.invoke.incoming import CLIENT_GONE, Body, Incoming, RawHeaders
from swarmfn.upstream import Broken, DeadlinePassed, NotSent, Response, Upstream, UpstreamFailure, request_head
from swarmfn.upstream.balance import InFlight
from swarmfn.wire.errors import FaasError, InvalidRequest, NoReplicas, UpstreamError, UpstreamTimeout
from swarmfn.wire.headers import MAX_HOPS
from swarmfn.wire.replicas import ReplicaTable, Route, find_route
from swarmfn.wire.time_limits import is_about_over, says_out_of_time

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_MOSTLY_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})


class Outcome:
    """A function's answer. The receiver must call `close()`, at the end or to give up in the middle, which stops
    the run."""

    __slots__ = ("_finish", "_response", "headers", "status")

    def __init__(self, response: Response, headers: RawHeaders, finish: Callable[[], None]) -> None:
        self._response = response
        self._finish = finish
        self.status = response.status
        self.headers = headers

    def complete_body(self) -> bytes | None:
        """The whole body if it came together with the head."""
        return self._response.complete_body()

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises UpstreamFailure when it breaks off or upstream_timeout passes."""
        return self._response.chunks()

    def close(self) -> None:
        self._response.abort()
        self._finish()


class Synchronous:
    """Makes synchronous calls. `table` gives the present replica table; `upstream_timeout` is in seconds and bounds
    the whole exchange; `own` are the gateway's credentials, which no function is given."""

    def __init__(
        self,
        table: Callable[[], ReplicaTable],
        upstream: Upstream,
        metrics: InvocationMetrics,
        upstream_timeout: float,
        own: Credentials | None = None,
        max_hops: int = MAX_HOPS,
    ) -> None:
        self._table = table
        self._upstream = upstream
        self._metrics = metrics
        self._timeout = upstream_timeout
        self._own = own
        self._max_hops = max_hops
        self._in_flight = InFlight()

    async def call(self, incoming: Incoming, call_id: str, body: Body) -> Outcome:
        """The function's answer, its head being there. Raises a FaasError when the platform has none to give.

        Cancelling the caller closes the connection to the replica, and so stops the run.
        """
        route = find_route(self._table(), incoming.name)
        name = route.name
        self._metrics.started(name)
        try:
            headers = forwarding.to_function(incoming, call_id, self._own, self._max_hops)
            headers += _framing(incoming, body)
            deadline = asyncio.get_running_loop().time() + self._timeout
            for address in self._in_flight.order(route.addresses):
                try:
                    return await self._exchange(route, address, incoming, call_id, headers, body, deadline)
                except NotSent:
                    continue
            raise _nobody(route)
        except UpstreamFailure as exc:
            error = self._told(route, exc, deadline)
            self._metrics.finished(name, error.status, time.perf_counter() - incoming.started)
            raise error from exc
        except BaseException as exc:
            status = getattr(exc, "status", CLIENT_GONE if isinstance(exc, asyncio.CancelledError) else 500)
            self._metrics.finished(name, status, time.perf_counter() - incoming.started)
            raise

    async def _exchange(
        self,
        route: Route,
        address: str,
        incoming: Incoming,
        call_id: str,
        headers: RawHeaders,
        body: Body,
        deadline: float,
    ) -> Outcome:
        head = _head(incoming, address, headers)
        is_head = incoming.method == "HEAD"
        is_chunked = incoming.length is None and not isinstance(body, bytes)
        in_flight = self._in_flight
        in_flight.enter(address)
        try:
            try:
                response = await self._upstream.exchange(
                    address, head, body, method_is_head=is_head, chunked=is_chunked, deadline=deadline
                )
            except Broken as exc:
                if not (exc.is_reused and isinstance(body, bytes) and incoming.method in _IDEMPOTENT):
                    raise
                # The replica closed an idle connection just as it was used (RFC 9110 section 9.2.2 allows the
                # repetition).
                response = await self._upstream.exchange(address, head, body, method_is_head=is_head, deadline=deadline)
            if response.status >= 400:
                self._check_time(address, response, deadline)
        except BaseException:
            in_flight.leave(address)
            raise
        return Outcome(
            response,
            forwarding.to_client(response.headers, incoming, call_id, route.is_site),
            partial(self._finish, route.name, address, response.status, incoming.started),
        )

    def _check_time(self, address: str, response: Response, deadline: float) -> None:
        """Raises DeadlinePassed where the watchdog has stopped the run at our own deadline: function and gateway often
        have the same limit, and the caller is told the same in both cases."""
        if says_out_of_time(response.status, response.peek(), self._spent(deadline), self._timeout):
            response.abort()
            raise DeadlinePassed(address, "stopped the run when its time was up.")

    def _spent(self, deadline: float) -> float:
        return self._timeout - (deadline - asyncio.get_running_loop().time())

    def _finish(self, name: str, address: str, status: int, started: float) -> None:
        self._in_flight.leave(address)
        self._metrics.finished(name, status, time.perf_counter() - started)

    def _told(self, route: Route, exc: UpstreamFailure, deadline: float) -> FaasError:
        """What the caller is told about an exchange that failed."""
        is_late = isinstance(exc, DeadlinePassed) or is_about_over(self._spent(deadline), self._timeout)
        return self._too_slow(route.name) if is_late else _lost(route.name)

    def _too_slow(self, name: str) -> UpstreamTimeout:
        return UpstreamTimeout(
            f'function "{name}" did not answer within {self._timeout:g} s (upstream_timeout).',
            f"For longer runs call /async-function/{name}, or raise the gateway's upstream_timeout.",
        )


def _framing(incoming: Incoming, body: Body) -> RawHeaders:
    """How the function is told where the body ends."""
    if isinstance(body, bytes):
        if not body and incoming.method in _MOSTLY_BODILESS:
            return []
        return [(b"Content-Length", b"%d" % len(body))]
    if incoming.length is not None:
        return [(b"Content-Length", b"%d" % incoming.length)]
    return [(b"Transfer-Encoding", b"chunked")]


def _head(incoming: Incoming, address: str, headers: RawHeaders) -> bytes:
    target = incoming.path or "/"
    if incoming.query:
        target = f"{target}?{incoming.query}"
    try:
        return request_head(incoming.method, target.encode("latin-1"), address, headers)
    except ValueError as exc:
        raise InvalidRequest(f"the request cannot be passed on: {exc}.") from exc


def _lost(name: str) -> UpstreamError:
    return UpstreamError(
        f'function "{name}" broke off the connection without a whole answer.',
        "Its log may say why (a crash, or out of memory).",
    )


def _nobody(route: Route) -> NoReplicas:
    if route.addresses:
        return NoReplicas(f'no replica of function "{route.name}" accepts connections.', "It may be restarting.")
    if route.replicas == 0:
        return NoReplicas(f'function "{route.name}" is scaled to 0 replicas.', "Scale it up to call it.")
    # Why is not for everybody to read: the reason may hold a line of the function's log, or a path of this machine.
    return NoReplicas(f'function "{route.name}" has no healthy replica.', "Its log and the gateway's say why.")
