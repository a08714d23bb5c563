"""Calls for the queue's benchmarks: sent through the gateway as a client sends them, or put into the queue directly."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from redis import Redis
from rig import program

from swarmfn.jobs.redis_clients import connect
from swarmfn.jobs.submissions import Submissions
from swarmfn.upstream import Upstream, request_head
from swarmfn.wire.call_ids import new_call_id
from swarmfn.wire.invocations import Invocation
from swarmfn.wire.replicas import REPLICAS_KEY, Route, encode_table

PASSWORD = "bench"
HEADERS = [
    (b"User-Agent", b"curl/8.5.0"),
    (b"Accept", b"*/*"),
    (b"Content-Type", b"application/octet-stream"),
    (b"X-Tenant", b"tenant-0042"),
    (b"Accept-Encoding", b"gzip, deflate"),
]
"""With Host the six headers of every call, beside Content-Length."""

_AT_ONCE = 64


async def send(gateway_port: int, count: int, size: int) -> None:
    """POSTs of `size` random bytes, 64 at a time; ends the program when one is not accepted."""
    upstream = Upstream()
    address = f"127.0.0.1:{gateway_port}"
    left = iter(range(count))

    async def sender() -> None:
        for _ in left:
            headers = [*HEADERS, (b"Content-Length", b"%d" % size)]
            head = request_head("POST", b"/async-function/noop", address, headers)
            response = await upstream.exchange(address, head, os.urandom(size))
            await response.read(limit=1000)
            if response.status != 202:
                raise SystemExit(f"a call was answered {response.status}")

    await asyncio.gather(*[sender() for _ in range(_AT_ONCE)])
    await upstream.close()


async def store(redis_port: int, count: int, size: int) -> None:
    """The same calls without a gateway: the quick way to a long queue."""
    client = connect(f"127.0.0.1:{redis_port}", PASSWORD)
    submissions = Submissions(client)
    headers = [(name.decode(), value.decode()) for name, value in HEADERS]
    for first in range(0, count, 1000):
        calls = [
            Invocation(new_call_id(), "noop", "noop", "noop", "POST", "", "", headers, 60.0, time.time_ns())
            for _ in range(min(1000, count - first))
        ]
        await asyncio.gather(*[submissions.submit(call, os.urandom(size)) for call in calls])
    await client.aclose()


def announce(client: Redis, upstream_port: int) -> None:
    """Tells workers where the function `noop` is."""
    client.set(REPLICAS_KEY, encode_table({"noop": Route("noop", (f"127.0.0.1:{upstream_port}",), 1, 60.0, "noop")}))


def worker(redis_port: int, folder: Path) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    """A worker with one process."""
    env = {"faas_redis_address": f"127.0.0.1:{redis_port}", "secret_mount_path": str(folder)}
    return program([sys.executable, "-m", "worker"], env=env)


def until(condition: Callable[[], bool], timeout: float = 600) -> None:
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("it took too long")
        time.sleep(0.005)
