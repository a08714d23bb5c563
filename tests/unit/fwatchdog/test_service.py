from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fwatchdog.http.messages import Request, Response
from fwatchdog.http.request_bodies import RequestBody
from fwatchdog.lock import LockFile
from fwatchdog.metrics import Metrics
from fwatchdog.service import Service
from fwatchdog.settings import Settings


class RecordingMode:
    """Notes the timeouts of its runs, which end when `release` is set."""

    def __init__(self) -> None:
        self.timeouts: list[float] = []
        self.targets: list[str] = []
        self.release = asyncio.Event()
        self.release.set()
        self.are_two = asyncio.Event()

    async def start(self) -> None: ...

    async def run(self, request: Request, timeout: float) -> Response:
        self.timeouts.append(timeout)
        self.targets.append(f"{request.method} {request.target}")
        if len(self.timeouts) == 2:
            self.are_two.set()
        await self.release.wait()
        return Response(200, [], (b"ran",))

    async def close(self) -> None: ...


def request(target: str = "/", **headers: str) -> Request:
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    method = "GET" if target.startswith("/_/") else "POST"
    return Request(method, target, pairs, 0, RequestBody(lambda: None, lambda: None))


def service(lock: LockFile, mode: RecordingMode | None = None, **variables: str) -> Service:
    settings = Settings.load({"fprocess": "cat", **variables})
    return Service(settings, mode or RecordingMode(), lock, Metrics())


async def status(tested: Service, target: str) -> int:
    return (await tested.handle(request(target))).status


async def test_health_follows_the_lock_file(tmp_path: Path) -> None:
    lock = LockFile(str(tmp_path / ".lock"))
    lock.acquire()
    tested = service(lock)
    assert [await status(tested, path) for path in ("/_/health", "/_/ready")] == [200, 200]
    (tmp_path / ".lock").unlink()
    assert [await status(tested, path) for path in ("/_/health", "/_/ready")] == [503, 503]
    lock.release()


async def test_suppressed_lock_needs_no_file() -> None:
    lock = LockFile(None)
    lock.acquire()
    tested = service(lock)
    assert await status(tested, "/_/health") == 200
    tested.is_accepting = False
    assert [await status(tested, path) for path in ("/_/health", "/_/ready")] == [503, 503]
    assert await status(tested, "/") == 200


def test_lock_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        LockFile(str(tmp_path / "missing" / ".lock")).acquire()


@pytest.mark.parametrize(
    ("setting", "header", "expected"),
    [
        ("0", "", 0),
        ("10s", "", 10),
        ("10s", "2s", 2),
        ("10s", "1m", 10),
        ("10s", "0", 10),
        ("0", "3", 3),
        ("10s", "soon", 10),
    ],
)
async def test_x_timeout_can_only_shorten_a_run(setting: str, header: str, expected: float) -> None:
    mode = RecordingMode()
    tested = service(LockFile(None), mode, exec_timeout=setting)
    await tested.handle(request(X_Timeout=header) if header else request())
    assert mode.timeouts == [expected]


async def test_limit_counts_calls_under_way_and_health_checks_are_none() -> None:
    mode = RecordingMode()
    mode.release.clear()
    tested = service(LockFile(None), mode, max_inflight="2")
    running = [asyncio.ensure_future(tested.handle(request())) for _ in range(2)]
    await mode.are_two.wait()
    assert [await status(tested, path) for path in ("/", "/_/ready", "/_/health")] == [429, 429, 200]
    running[0].cancel()
    mode.release.set()
    await asyncio.wait(running)
    assert [await status(tested, path) for path in ("/", "/_/ready")] == [200, 200]


async def test_readiness_can_be_the_functions_own_and_does_not_count() -> None:
    mode = RecordingMode()
    tested = service(LockFile(None), mode, ready_path="/am/i/ready", exec_timeout="7")
    assert (await tested.handle(request("/_/ready"))).body == (b"ran",)
    assert (mode.targets, mode.timeouts) == (["GET /am/i/ready"], [7])
    assert await status(tested, "/_/health") == 200
    assert len(mode.targets) == 1
    tested.is_accepting = False
    assert await status(tested, "/_/ready") == 503
    assert len(mode.targets) == 1


async def test_readiness_is_not_asked_of_a_function_that_is_full() -> None:
    mode = RecordingMode()
    mode.release.clear()
    tested = service(LockFile(None), mode, max_inflight="1", ready_path="/ready")
    running = asyncio.ensure_future(tested.handle(request()))
    await asyncio.sleep(0)
    assert await status(tested, "/_/ready") == 429
    mode.release.set()
    await running
    assert mode.targets == ["POST /"]
