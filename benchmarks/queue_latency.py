"""From the POST to the function's first byte of it, nothing else going on: gateway, Redis and worker, against Flask and
`Queue.enqueue` on waitress with RQ's SimpleWorker that POSTs over one kept session. Both call the same function."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from front_ends import gateway
from queue_calls import HEADERS, PASSWORD, announce, until, worker
from redis import Redis
from rig import REPOSITORY, free_port, program, redis, rounds, table

from swarmfn.upstream import Upstream, request_head

_WARM_UP = 20
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Options:
    """calls: for each contestant in each round; body: bytes of each call's body."""

    rounds: int
    calls: int
    body: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=200, help="for each contestant in each round")
    parser.add_argument("--body", type=int, default=1024, help="bytes of each call's body")
    options = Options(**vars(parser.parse_args()))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "redis-password").write_text(PASSWORD)
        port, upstream = free_port(), free_port()
        redis_port = stack.enter_context(redis(PASSWORD, appendonly="yes"))
        client = stack.enter_context(Redis(port=redis_port, password=PASSWORD))
        stack.enter_context(gateway("fastlane", port, upstream, redis_port, folder))
        announce(client, upstream)
        stack.enter_context(worker(redis_port, folder))
        # The side of plain RQ has a Redis of its own, or the worker would record its jobs as none of ours.
        plain_rq_redis = stack.enter_context(redis(PASSWORD, appendonly="yes"))
        plain_rq_port = plain_rq_side(stack, plain_rq_redis, upstream)
        until(lambda: client.scard("rq:workers") == 1)
        bench = stack.enter_context(Bench(upstream, options))
        contestants = {
            "swarmfn": lambda: bench.run(f"127.0.0.1:{port}"),
            "Flask + RQ": lambda: bench.run(f"127.0.0.1:{plain_rq_port}"),
        }
        table(rounds(options.rounds, contestants), "Flask + RQ", "p50 ms", smaller_is_better=True)


def plain_rq_side(stack: contextlib.ExitStack, redis_port: int, upstream: int) -> int:
    """A Flask gateway and a SimpleWorker; the port of the former."""
    port = free_port()
    command = [
        sys.executable,
        REPOSITORY / "benchmarks/plain_rq.py",
        port,
        redis_port,
        PASSWORD,
        f"127.0.0.1:{upstream}",
    ]
    stack.enter_context(program(command, port))
    rq = Path(sys.executable).with_name("rq")
    url = f"redis://:{PASSWORD}@127.0.0.1:{redis_port}"
    env = {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'benchmarks'}"}
    stack.enter_context(program([rq, "worker", "-q", "-u", url, "-w", "rq.worker.SimpleWorker", "noop"], env=env))
    client = stack.enter_context(Redis(port=redis_port, password=PASSWORD))
    until(lambda: client.scard("rq:workers") == 1)
    return port


class Bench:
    """Client and function in one process, so that both moments are by one clock. Use it as a context manager."""

    def __init__(self, upstream: int, options: Options) -> None:
        self._upstream = upstream
        self._calls, self._size = options.calls, options.body
        self._runner = asyncio.Runner()
        self._arrived: asyncio.Queue[float] = asyncio.Queue()

    def __enter__(self) -> Bench:
        self._runner.run(asyncio.start_server(self._function, "127.0.0.1", self._upstream))
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            self._runner.close()

    def run(self, address: str) -> Mapping[str, float]:
        return self._runner.run(self._measure(address))

    async def _measure(self, address: str) -> Mapping[str, float]:
        client = Upstream()
        took = [await self._one(client, address) for _ in range(self._calls + _WARM_UP)][_WARM_UP:]
        await client.close()
        took.sort()
        return {"p50 ms": statistics.median(took) * 1e3, "p90 ms": took[int(len(took) * 0.9)] * 1e3}

    async def _one(self, client: Upstream, address: str) -> float:
        headers = [*HEADERS, (b"Content-Length", b"%d" % self._size)]
        head = request_head("POST", b"/async-function/noop", address, headers)
        began = time.perf_counter()
        response = await client.exchange(address, head, b"x" * self._size)
        await response.read(limit=1000)
        if response.status != 202:
            raise SystemExit(f"a call was answered {response.status}")
        took = await self._arrived.get() - began
        await asyncio.sleep(0.02)  # idle again
        return took

    async def _function(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self._arrived.put_nowait(time.perf_counter())
                await reader.readexactly(self._size)
                writer.write(_ANSWER)
        writer.close()


if __name__ == "__main__":
    main()
