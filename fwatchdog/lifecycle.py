"""From start to drained: the order in which the watchdog comes up and goes down."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import socket

from fwatchdog.children import Nursery
from fwatchdog.http.listener import Listener, bind, inherit
from fwatchdog.http.site import Handler, Site
from fwatchdog.lock import LockFile
from fwatchdog.metrics import Metrics, MetricsPage
from fwatchdog.modes import CannotStart, Mode
from fwatchdog.modes.choice import create_mode
from fwatchdog.service import Service
from fwatchdog.settings import Settings

logger = logging.getLogger(__name__)

_LAST_WORDS = 1.0


class FunctionEnded(Exception):
    """The function's own process ended while it was needed; the message is one line."""


class _Stop:
    """SIGTERM and SIGINT: the first begins the drain, the second ends its waiting. So does the function's own end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.first = asyncio.Event()
        self._second = asyncio.Event()
        self.failure = ""
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._received)

    def _received(self) -> None:
        (self._second if self.first.is_set() else self.first).set()

    def failed(self, reason: str) -> None:
        self.failure = reason
        self.first.set()
        self._second.set()

    async def wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._second.wait()
        except TimeoutError:
            return


async def serve(settings: Settings) -> None:
    """Runs the watchdog until it is told to stop and has drained. Raises CannotStart, FunctionEnded."""
    loop = asyncio.get_running_loop()
    stop = _Stop(loop)
    listening = _listening_socket(settings)
    mode = create_mode(settings, Nursery(loop), stop.failed)
    try:
        starting = loop.create_task(mode.start())
        stopping = loop.create_task(stop.first.wait())
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            return
        await starting
        await _serve_until_drained(settings, mode, listening, stop)
        stopping.cancel()
        if stop.failure:
            raise FunctionEnded(stop.failure)
    finally:
        listening.close()
        await mode.close()


async def _serve_until_drained(settings: Settings, mode: Mode, listening: socket.socket, stop: _Stop) -> None:
    metrics = Metrics()
    lock = _lock(settings)
    service = Service(settings, mode, lock, metrics)
    site = _site(settings, service.handle)
    listener = Listener(listening, site)
    metrics_listener = await _serve_metrics(settings, metrics)
    try:
        await listener.start()
        extra = {"event": "ready", "mode": settings.mode, "port": listening.getsockname()[1]}
        logger.info("ready for calls", extra=extra)
        await stop.first.wait()
        await _drain(settings, service, lock, site, listener, stop)
    finally:
        lock.release()
        if metrics_listener is not None:
            await metrics_listener.stop_accepting()
            await metrics_listener.finish(0)


async def _drain(
    settings: Settings, service: Service, lock: LockFile, site: Site, listener: Listener, stop: _Stop
) -> None:
    """Unhealthy first, so that callers go elsewhere; then no new connections; then the calls under way may end."""
    wait = settings.healthcheck_interval
    if not stop.failure:
        logger.info("stopping: unhealthy from now on, closing in %g s", wait, extra={"event": "draining"})
    service.is_accepting = False
    # Pooled connections end one by one with the answers they carry, not all at once with a call in one of them.
    site.is_draining = True
    lock.release()
    await stop.wait(wait)
    await listener.stop_accepting()
    # A run that has just begun ends at its own limit, often of the same length, and its answer says so.
    longest = _limit(settings.write_timeout) + _LAST_WORDS
    finishing = asyncio.create_task(listener.finish(longest))
    hurrying = asyncio.create_task(stop.wait(longest))
    await asyncio.wait((finishing, hurrying), return_when=asyncio.FIRST_COMPLETED)
    if stop.failure:
        # The calls under way have failed with the function; their answers are on the way out.
        await asyncio.wait((finishing,), timeout=_LAST_WORDS)
    hurrying.cancel()
    finishing.cancel()
    await listener.finish(0)
    logger.info("stopped", extra={"event": "stopped"})


def _site(settings: Settings, handle: Handler) -> Site:
    return Site(
        handle,
        _limit(settings.read_timeout),
        _limit(settings.write_timeout),
        _limit(settings.idle_timeout),
        settings.linger_timeout,
        settings.max_head,
    )


def _limit(seconds: float) -> float:
    """A timeout as the server takes it: in the settings 0 means no limit."""
    return seconds or math.inf


def _listening_socket(settings: Settings) -> socket.socket:
    if settings.listen_fd >= 0:
        try:
            return inherit(settings.listen_fd)
        except (OSError, ValueError) as exc:
            raise CannotStart(f"listen_fd: {exc}") from exc
    try:
        return bind(settings.port)
    except OSError as exc:
        raise CannotStart(f"port: cannot listen on {settings.port}: {exc.strerror}") from exc


def _lock(settings: Settings) -> LockFile:
    lock = LockFile(None) if settings.suppress_lock else LockFile()
    try:
        lock.acquire()
    except OSError as exc:
        hint = "set suppress_lock=true on a read-only file system"
        raise CannotStart(f"the lock file cannot be written: {exc}; {hint}") from exc
    return lock


async def _serve_metrics(settings: Settings, metrics: Metrics) -> Listener | None:
    if not settings.metrics_port:
        return None
    try:
        listening = bind(settings.metrics_port)
    except OSError as exc:
        text = f"metrics_port: cannot listen on {settings.metrics_port}: {exc.strerror} (0 switches metrics off)"
        raise CannotStart(text) from exc
    site = _site(settings, MetricsPage(metrics).handle)
    listener = Listener(listening, site)
    await listener.start()
    return listener
