"""CPU of accepting and of draining a call when few are queued and when very many are.

Both queues stay as they are while they take turns: what is accepted in a round is drained in it. Redis's own CPU is
counted in."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from front_ends import gateway
from queue_calls import PASSWORD, announce, send, store, until, worker
from redis import Redis
from rig import REPOSITORY, cpu_seconds, free_port, program, redis, rounds, table


@dataclass(frozen=True)
class Depth:
    """One queue of a certain depth, with a gateway in front of it."""

    gateway: Popen[bytes]
    port: int
    redis_port: int
    client: Redis


@dataclass(frozen=True)
class Options:
    """shallow, deep: how many calls are queued; calls: accepted and drained in each round; body: bytes of each call's
    body."""

    rounds: int
    shallow: int
    deep: int
    calls: int
    body: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shallow", type=int, default=1000)
    parser.add_argument("--deep", type=int, default=100_000, help="1000000 takes 2 GB and some minutes to fill")
    parser.add_argument("--calls", type=int, default=3000, help="accepted and drained in each round")
    parser.add_argument("--body", type=int, default=1024, help="bytes of each call's body")
    options = Options(**vars(parser.parse_args()))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "redis-password").write_text(PASSWORD)
        upstream = free_port()
        server = REPOSITORY / "benchmarks/noop_server.py"
        stack.enter_context(program([sys.executable, server, "--port", upstream], upstream))
        contestants = {}
        for depth in (options.shallow, options.deep):
            print(f"filling a queue with {depth:,}", file=sys.stderr)
            place = filled(stack, depth, upstream, folder, options)
            contestants[f"{depth:,} queued"] = measured(place, depth, upstream, folder, options)
        figures = rounds(options.rounds, contestants)
        table(figures, f"{options.shallow:,} queued", "accept CPU µs", smaller_is_better=True)
        few, many = figures.values()
        print(f"\nDrain: {few['drain CPU µs'] / many['drain CPU µs']:.2f} times {options.shallow:,} queued")


def filled(stack: contextlib.ExitStack, depth: int, upstream: int, folder: Path, options: Options) -> Depth:
    port = free_port()
    redis_port = stack.enter_context(redis(PASSWORD, appendonly="yes"))
    client = stack.enter_context(Redis(port=redis_port, password=PASSWORD))
    # Rewriting the file of a queue that was just filled would fall into somebody's round.
    client.config_set("auto-aof-rewrite-percentage", 0)
    process = stack.enter_context(gateway("fastlane", port, upstream, redis_port, folder))
    announce(client, upstream)
    asyncio.run(store(redis_port, depth, options.body))
    return Depth(process, port, redis_port, client)


def measured(
    place: Depth, depth: int, upstream: int, folder: Path, options: Options
) -> Callable[[], Mapping[str, float]]:
    def run() -> Mapping[str, float]:
        client = place.client
        before = cpu_seconds(place.gateway) + redis_seconds(client)
        asyncio.run(send(place.port, options.calls, options.body))
        accept = cpu_seconds(place.gateway) + redis_seconds(client) - before
        return {
            "accept CPU µs": accept / options.calls * 1e6,
            "drain CPU µs": drained(place, depth, folder) * 1e6,
        }

    return run


def drained(place: Depth, depth: int, folder: Path) -> float:
    """Seconds of CPU a call that worker and Redis spend until the queue is down to its depth."""
    client = place.client
    client.set("rq:suspended", 1)
    with worker(place.redis_port, folder) as process:
        until(lambda: client.scard("rq:workers") == 1)
        before, done = cpu_seconds(process) + redis_seconds(client), int(client.zcard("rq:finished:noop"))
        client.delete("rq:suspended")
        until(lambda: client.llen("rq:queue:noop") <= depth)
        client.set("rq:suspended", 1)
        until(lambda: client.zcard("rq:wip:noop") == 0)
        seconds = cpu_seconds(process) + redis_seconds(client) - before
        calls = int(client.zcard("rq:finished:noop")) - done
    client.delete("rq:suspended")
    missing = depth - int(client.llen("rq:queue:noop"))
    if missing > 0:
        asyncio.run(store(place.redis_port, missing, 1024))
    return seconds / calls


def redis_seconds(client: Redis) -> float:
    usage = client.info("cpu")
    return float(usage["used_cpu_user"]) + float(usage["used_cpu_sys"])


if __name__ == "__main__":
    main()
