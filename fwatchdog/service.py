"""What a request to the watchdog means: a health check, or a call of the function."""

from __future__ import annotations

import time

from fwatchdog.http.messages import Request, Response, text_response
from fwatchdog.http.request_bodies import RequestBody
from fwatchdog.lock import LockFile
from fwatchdog.metrics import Metrics
from fwatchdog.modes import Mode
from fwatchdog.settings import Settings
from swarmfn.wire.durations import parse_duration
from swarmfn.wire.headers import INTERNAL

_CALLER_GONE = 499
_TIMEOUT = "X-Timeout"


class Service:
    """Answers requests: `/_/health`, `/_/ready`, and everything else as a call."""

    def __init__(self, settings: Settings, mode: Mode, lock: LockFile, metrics: Metrics) -> None:
        self._settings = settings
        self._mode = mode
        self._lock = lock
        self._metrics = metrics
        self._own_routes = {"/_/health": self._health, "/_/ready": self._ready}
        self.is_accepting = True

    async def handle(self, request: Request) -> Response:
        own = self._own_routes.get(request.raw_path)
        if own is not None:
            if request.method not in ("GET", "HEAD"):
                return text_response(405, "This is read with GET.\n", [("Allow", "GET, HEAD")])
            return await own(request)
        started = time.monotonic()
        code = _CALLER_GONE
        try:
            response = await self._call(request)
            code = response.status
            return response
        except Exception:
            code = 500
            raise
        finally:
            self._metrics.observe(code, request.method, time.monotonic() - started)

    @property
    def is_healthy(self) -> bool:
        return self.is_accepting and self._lock.is_held()

    async def _health(self, request: Request) -> Response:
        return text_response(200, "OK") if self.is_healthy else text_response(503, "Unhealthy: stopping or no lock\n")

    async def _ready(self, request: Request) -> Response:
        if not self.is_healthy:
            return text_response(503, "Not ready: stopping or no lock\n")
        if self._is_full():
            return self._over_limit()
        if not self._settings.ready_path:
            return text_response(200, "OK")
        return await self._ask_function(request)

    async def _ask_function(self, request: Request) -> Response:
        """What the function says at ready_path: neither counted as a call nor held up by the limit of calls."""
        nothing = RequestBody(lambda: None, lambda: None)
        nothing.finish()
        headers = [pair for pair in request.headers if pair[0].lower() not in ("content-length", "transfer-encoding")]
        ready = Request("GET", self._settings.ready_path, headers, 0, nothing, request.stream)
        return await self._mode.run(ready, self._timeout(request))

    async def _call(self, request: Request) -> Response:
        if self._is_full():
            return self._over_limit()
        self._metrics.in_flight += 1
        try:
            return await self._mode.run(request, self._timeout(request))
        finally:
            self._metrics.in_flight -= 1

    def _is_full(self) -> bool:
        return 0 < self._settings.max_inflight <= self._metrics.in_flight

    def _over_limit(self) -> Response:
        # The contract's words; clients look for them and for the header.
        limit = self._settings.max_inflight
        text = f"Concurrent request limit exceeded. Max concurrent requests: {limit}"
        return text_response(429, text, [(INTERNAL, "fwatchdog")])

    def _timeout(self, request: Request) -> float:
        """Seconds this run may take, 0 for no limit. X-Timeout can shorten it; a wrong one is ignored."""
        limit = self._settings.exec_timeout
        text = request.header(_TIMEOUT)
        if not text:
            return limit
        try:
            wanted = parse_duration(text)
        except ValueError:
            return limit
        return min(filter(None, (wanted, limit)), default=0.0)
