"""Redis memory of a queued call and of a finished one that is kept with a small result, accepted by the gateway and run
by a worker; beside them, what plain RQ takes for a job with the same body, with Redis's own defaults."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from front_ends import gateway
from queue_calls import PASSWORD, announce, send, until, worker
from redis import Redis
from rig import REPOSITORY, free_port, machine, program, redis
from rq import Queue, SimpleWorker


@dataclass(frozen=True)
class Options:
    """body: random bytes in each call's body."""

    calls: int
    body: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000, help="with few, what Redis takes for itself shows")
    parser.add_argument("--body", type=int, default=1024, help="random bytes in each call's body")
    options = Options(**vars(parser.parse_args()))
    ours, plain_rq = of_ours(options), of_plain_rq(options)
    print("| bytes a call in Redis | swarmfn | plain RQ |\n|---|---:|---:|")
    for state in ours:
        print(f"| {state} | {ours[state]:,.0f} | {plain_rq[state]:,.0f} |")
    print(f"\n{machine()}")


def of_ours(options: Options) -> Mapping[str, float]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "redis-password").write_text(PASSWORD)
        upstream, port = free_port(), free_port()
        server = REPOSITORY / "benchmarks/noop_server.py"
        stack.enter_context(program([sys.executable, server, "--port", upstream], upstream))
        redis_port = stack.enter_context(redis(PASSWORD))
        stack.enter_context(gateway("fastlane", port, upstream, redis_port, folder))
        client = stack.enter_context(Redis(port=redis_port, password=PASSWORD))
        client.set("rq:suspended", 1)
        stack.enter_context(worker(redis_port, folder))
        until(lambda: client.scard("rq:workers") == 1)
        announce(client, upstream)
        before = used(client)
        asyncio.run(send(port, options.calls, options.body))
        queued = used(client) - before
        client.delete("rq:suspended")
        until(lambda: client.zcard("rq:finished:noop") == options.calls)
        finished = used(client) - before
    return {"queued": queued / options.calls, "finished": finished / options.calls}


def of_plain_rq(options: Options) -> Mapping[str, float]:
    defaults = {"hash-max-listpack-value": "64", "stream-node-max-bytes": "4096"}
    jobs = max(200, options.calls // 10)
    with redis(PASSWORD, **defaults) as redis_port, Redis(port=redis_port, password=PASSWORD) as client:
        queue = Queue("noop", connection=client)
        before = used(client)
        for _ in range(jobs):
            queue.enqueue(os.path.basename, os.urandom(options.body), result_ttl=3600)
        queued = used(client) - before
        SimpleWorker([queue], connection=client).work(burst=True, logging_level="ERROR")
        finished = used(client) - before
    return {"queued": queued / jobs, "finished": finished / jobs}


def used(client: Redis) -> int:
    """Bytes of Redis's data, without the buffers of its clients and of the append-only file."""
    return int(client.memory_stats()["dataset.bytes"]) + int(client.memory_stats()["overhead.total"])


if __name__ == "__main__":
    main()
