"""Asynchronous calls: accepting against Flask + Queue.enqueue on waitress, and draining against RQ's SimpleWorker
that makes the same POST over one requests.Session. All in one run, with the same Redis and the same no-op server."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from front_ends import gateway
from redis import Redis
from rig import REPOSITORY, cpu_seconds, free_port, program, redis, rounds, table, wrk
from rq import Queue

from swarmfn.jobs.redis_clients import connect
from swarmfn.jobs.submissions import Submissions
from swarmfn.wire.invocations import Invocation
from swarmfn.wire.replicas import REPLICAS_KEY, Route, encode_table


@dataclass(frozen=True)
class Options:
    """seconds: of load for each accepting contestant in each round; jobs: to drain by the worker; body: bytes of each
    call's body; delay: milliseconds the slow server takes; in_flight: one max_inflight of the worker after another."""

    rounds: int
    seconds: int
    jobs: int
    body: int
    delay: float
    in_flight: Sequence[int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of load for each accepting contestant in each round")
    parser.add_argument(
        "--jobs", type=int, default=5000, help="to drain by the worker; the plain RQ worker gets a tenth"
    )
    parser.add_argument("--body", type=int, default=1024, help="bytes of each call's body")
    parser.add_argument("--delay", type=float, default=20.0, help="milliseconds the slow server takes")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[100, 256], help="the worker's max_inflight")
    options = Options(**vars(parser.parse_args()))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "redis-password").write_text("bench")
        fast, slow = free_port(), free_port()
        server = REPOSITORY / "benchmarks/noop_server.py"
        stack.enter_context(program([sys.executable, server, "--port", fast], fast))
        stack.enter_context(program([sys.executable, server, "--port", slow, "--delay", options.delay], slow))
        redis_port = stack.enter_context(redis("bench", appendonly="yes"))
        safe_redis = stack.enter_context(redis("bench", appendonly="yes", appendfsync="always"))
        accept(stack, options, folder, fast, redis_port, safe_redis)
        for port, title in ((fast, "no-op"), (slow, f"{options.delay:g} ms")):
            print(f"\n## Drain, {title} server\n")
            drain(options, folder, port, redis_port)


def accept(
    stack: contextlib.ExitStack,
    options: Options,
    folder: Path,
    upstream: int,
    redis_port: int,
    safe_redis: int,
) -> None:
    print("## Accept, 64 connections\n")
    port, safe_port, plain_rq_port = free_port(), free_port(), free_port()
    ours = stack.enter_context(gateway("fastlane", port, upstream, redis_port, folder))
    safe = stack.enter_context(gateway("fastlane", safe_port, upstream, safe_redis, folder))
    command = [sys.executable, REPOSITORY / "benchmarks/plain_rq.py", plain_rq_port, redis_port, "bench"]
    plain_rq = stack.enter_context(program(command, plain_rq_port))
    contestants = {
        "fast lane": accepting(ours, port, options, redis_port),
        "fast lane, AOF always": accepting(safe, safe_port, options, safe_redis),
        "Flask + Queue.enqueue": accepting(plain_rq, plain_rq_port, options, redis_port),
    }
    table(rounds(options.rounds, contestants), "Flask + Queue.enqueue", "accepted/s", smaller_is_better=False)


def accepting(
    process: subprocess.Popen[bytes], port: int, options: Options, redis_port: int
) -> Callable[[], Mapping[str, float]]:
    def run() -> Mapping[str, float]:
        before = cpu_seconds(process)
        load = wrk(f"http://127.0.0.1:{port}/async-function/noop", options.seconds, 64, options.body)
        if load.failed:
            raise SystemExit(f"{load.failed} of {load.requests} requests failed")
        cpu = (cpu_seconds(process) - before) / load.requests * 1e6
        with Redis(port=redis_port, password="bench") as client:
            client.flushall()
        return {"CPU µs": cpu, "accepted/s": load.per_second, "p50 ms": load.p50, "p99 ms": load.p99}

    return run


def drain(options: Options, folder: Path, upstream: int, redis_port: int) -> None:
    contestants = {
        f"worker, {number} in flight": partial(drained_by_worker, options, folder, upstream, redis_port, number)
        for number in options.in_flight
    }
    contestants["SimpleWorker"] = partial(drained_by_plain_rq, options, upstream, redis_port)
    table(rounds(options.rounds, contestants), "SimpleWorker", "jobs/s", smaller_is_better=False)


def drained_by_worker(
    options: Options, folder: Path, upstream: int, redis_port: int, in_flight: int
) -> Mapping[str, float]:
    env = {
        "faas_redis_address": f"127.0.0.1:{redis_port}",
        "secret_mount_path": str(folder),
        "max_inflight": str(in_flight),
    }
    with Redis(port=redis_port, password="bench") as client:
        client.flushall()
        client.set(REPLICAS_KEY, encode_table({"noop": Route("noop", (f"127.0.0.1:{upstream}",), 1, 60.0, "noop")}))
        client.set("rq:suspended", 1)
        asyncio.run(submit(options.jobs, options.body, redis_port))
        with program([sys.executable, "-m", "worker"], env=env) as process:
            until(lambda: client.scard("rq:workers") == 1)
            return timed(client, process, options.jobs, lambda: client.delete("rq:suspended"))


async def submit(jobs: int, size: int, redis_port: int) -> None:
    client = connect(f"127.0.0.1:{redis_port}", "bench")
    submissions = Submissions(client)
    headers = [("Content-Type", "application/octet-stream"), ("User-Agent", "bench"), ("Accept", "*/*")]
    body = b"x" * size
    for first in range(0, jobs, 500):
        calls = [
            Invocation(str(uuid.uuid4()), "noop", "noop", "noop", "POST", "", "", headers, 60.0, time.time_ns())
            for _ in range(min(500, jobs - first))
        ]
        await asyncio.gather(*[submissions.submit(call, body) for call in calls])
    await client.aclose()


def drained_by_plain_rq(options: Options, upstream: int, redis_port: int) -> Mapping[str, float]:
    jobs = max(100, options.jobs // 10)
    with Redis(port=redis_port, password="bench") as client:
        client.flushall()
        queue = Queue("noop", connection=client)
        url = f"redis://:bench@127.0.0.1:{redis_port}"
        rq = Path(sys.executable).with_name("rq")
        env = {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'benchmarks'}"}
        command = [rq, "worker", "-q", "-u", url, "-w", "rq.worker.SimpleWorker", "noop"]
        with program(command, env=env) as process:
            until(lambda: client.scard("rq:workers") == 1)
            # A plain RQ worker does not start while RQ is suspended; this one takes one job more and then waits.
            client.set("rq:suspended", 1)
            for _ in range(jobs):
                queue.enqueue("plain_rq.post", f"http://127.0.0.1:{upstream}/", b"x" * options.body, result_ttl=3600)
            return timed(client, process, jobs, lambda: client.delete("rq:suspended"))


def timed(
    client: Redis, process: subprocess.Popen[bytes], jobs: int, begin: Callable[[], object]
) -> Mapping[str, float]:
    cpu = cpu_seconds(process)
    begin()
    # Measured from the first job that ends, so that a worker's pause while suspended does not count.
    waiting = client.zcard("rq:finished:noop")
    until(lambda: client.zcard("rq:finished:noop") > waiting)
    first_done, began = int(client.zcard("rq:finished:noop")), time.perf_counter()
    until(lambda: client.zcard("rq:finished:noop") == jobs)
    seconds = time.perf_counter() - began
    return {"CPU µs": (cpu_seconds(process) - cpu) / jobs * 1e6, "jobs/s": (jobs - first_done) / seconds}


def until(condition: Callable[[], bool], timeout: float = 120) -> None:
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("the queue was not drained in time")
        time.sleep(0.005)


if __name__ == "__main__":
    main()
