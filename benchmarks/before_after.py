"""What a change costs: this checkout against another one (`git worktree add OTHER COMMIT`), interleaved in one run.

Prints CPU µs and Redis commands for each call: synchronous at 32 connections through the fast lane and through Flask
alone, accepted at 64, drained by the worker. Differences under 5 % are noise."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from async_engine import submit, timed, until
from redis import Redis
from rig import (
    REPOSITORY,
    behind_the_gateway,
    cpu_seconds,
    free_port,
    gateway_environment,
    program,
    redis,
    rounds,
    table,
    wrk,
)

from swarmfn.wire.replicas import REPLICAS_KEY, Route, encode_table

KINDS = ("synchronous", "flask", "accept", "drain")


@dataclass(frozen=True)
class Options:
    """other: the earlier checkout; seconds: of load for each contestant in each round; jobs: to drain by the worker;
    body: bytes of each call's body; only: what to measure."""

    other: Path
    rounds: int
    seconds: int
    jobs: int
    body: int
    only: Sequence[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="the earlier checkout")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3, help="of load for each contestant in each round")
    parser.add_argument("--jobs", type=int, default=5000, help="to drain by the worker")
    parser.add_argument("--body", type=int, default=1024, help="bytes of each call's body")
    parser.add_argument("--only", choices=KINDS, nargs="+", default=KINDS, help="what to measure (default: all)")
    options = Options(**vars(parser.parse_args()))
    checkouts = {"before": options.other.resolve(), "after": REPOSITORY}
    with contextlib.ExitStack() as stack:
        folder, upstream = stack.enter_context(behind_the_gateway())
        redis_port = stack.enter_context(redis("bench", appendonly="yes"))
        kinds = dict(zip(KINDS, (synchronous, flask, accept, drain), strict=True))
        for title in options.only:
            contestants = {
                name: kinds[title](options, folder, upstream, redis_port, path) for name, path in checkouts.items()
            }
            print(f"\n## {title}\n")
            table(rounds(options.rounds, contestants), "before", "CPU µs", smaller_is_better=False)


Run = Callable[[], Mapping[str, float]]


def synchronous(options: Options, folder: Path, upstream: int, redis_port: int, checkout: Path) -> Run:
    return lambda: loaded("/function/noop", 32, options, folder, upstream, redis_port, checkout)


def flask(options: Options, folder: Path, upstream: int, redis_port: int, checkout: Path) -> Run:
    alone = {"data_plane": "flask"}
    return lambda: loaded("/function/noop", 32, options, folder, upstream, redis_port, checkout, alone)


def accept(options: Options, folder: Path, upstream: int, redis_port: int, checkout: Path) -> Run:
    return lambda: loaded("/async-function/noop", 64, options, folder, upstream, redis_port, checkout)


def loaded(
    path: str,
    connections: int,
    options: Options,
    folder: Path,
    upstream: int,
    redis_port: int,
    checkout: Path,
    settings: Mapping[str, str] | None = None,
) -> Mapping[str, float]:
    port = free_port()
    env = {**gateway_environment(checkout, port, folder, redis_port), **(settings or {})}
    command = [sys.executable, checkout / "benchmarks/gateway_for.py", f"noop=127.0.0.1:{upstream}"]
    with empty(redis_port) as client, program(command, port, env) as process:
        wrk(f"http://127.0.0.1:{port}{path}", 1, connections, options.body)
        cpu, commands = cpu_seconds(process), commands_of(client)
        load = wrk(f"http://127.0.0.1:{port}{path}", options.seconds, connections, options.body)
        if load.failed:
            raise SystemExit(f"{load.failed} of {load.requests} requests failed")
        return {
            "CPU µs": (cpu_seconds(process) - cpu) / load.requests * 1e6,
            "Redis commands": (commands_of(client) - commands) / load.requests,
            "a second": load.per_second,
        }


def drain(options: Options, folder: Path, upstream: int, redis_port: int, checkout: Path) -> Run:
    env = {
        "PYTHONPATH": str(checkout),
        "faas_redis_address": f"127.0.0.1:{redis_port}",
        "secret_mount_path": str(folder),
    }

    def run() -> Mapping[str, float]:
        with empty(redis_port) as client:
            client.set(REPLICAS_KEY, encode_table({"noop": Route("noop", (f"127.0.0.1:{upstream}",), 1, 60.0, "noop")}))
            client.set("rq:suspended", 1)
            asyncio.run(submit(options.jobs, options.body, redis_port))
            with program([sys.executable, "-P", "-m", "worker"], env=env) as process:
                until(lambda: client.scard("rq:workers") == 1)
                commands = commands_of(client)
                figures = timed(client, process, options.jobs, lambda: client.delete("rq:suspended"))
                return {**figures, "Redis commands": (commands_of(client) - commands) / options.jobs}

    return run


@contextlib.contextmanager
def empty(redis_port: int) -> Iterator[Redis]:
    """A client of a Redis that holds nothing, now and afterwards."""
    with Redis(port=redis_port, password="bench") as client:
        client.flushall()
        yield client
        client.flushall()


def commands_of(client: Redis) -> int:
    """How many commands Redis has run, those inside scripts included and our own looking left out."""
    stats: Mapping[str, Mapping[str, int]] = client.info("commandstats")
    looking = {"cmdstat_info", "cmdstat_zcard", "cmdstat_scard"}
    return sum(entry["calls"] for name, entry in stats.items() if name not in looking)


if __name__ == "__main__":
    main()
