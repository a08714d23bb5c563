"""The watchdog's fork mode against its floor, and what an idle watchdog costs; all in one run.

The floor is a loop that does nothing but what a forked call cannot do without: `posix_spawn` of `cat`, a body through
its pipes and back, `waitpid`, one call after another. Fork mode does the same behind HTTP, for one and for several
connections at a time. Then every mode is started and left idle: time until it is ready, and memory.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rig import REPOSITORY, free_port, program, rounds, table, wrk

_COMMON = {"suppress_lock": "true", "metrics_port": "0", "healthcheck_interval": "0"}
_SERVER = REPOSITORY / "tests" / "functions" / "server" / "serve.py"


@dataclass(frozen=True)
class Options:
    """seconds: of calls for each contestant in each round; body: bytes of each call's body."""

    rounds: int
    seconds: int
    body: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of calls for each contestant in each round")
    parser.add_argument("--body", type=int, default=1024, help="bytes of each call's body")
    options = Options(**vars(parser.parse_args()))
    with watchdog({"fprocess": "cat"}) as port:
        forked = {
            f"fork mode, {connections} connections": _forked(port, connections, options) for connections in (1, 4, 16)
        }
        contestants = {"posix_spawn loop": lambda: bare_loop(options.seconds, options.body), **forked}
        figures = rounds(options.rounds, contestants)
        table(figures, "posix_spawn loop", "calls/s", smaller_is_better=False)
    print()
    idle = rounds(options.rounds, {mode: functools.partial(started, mode) for mode in ("fork", "streaming", "http")})
    table(idle, "fork", "ready ms", smaller_is_better=True)


def bare_loop(seconds: float, size: int) -> Mapping[str, float]:
    """Calls a second of the loop itself."""
    body, environment = b"x" * size, dict(os.environb)
    calls, began = 0, time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        assert one_call(body, environment) == body
        calls += 1
    return {"calls/s": calls / (now - began)}


def one_call(body: bytes, environment: Mapping[bytes, bytes]) -> bytes:
    stdin_read, stdin_write = os.pipe2(os.O_CLOEXEC)
    stdout_read, stdout_write = os.pipe2(os.O_CLOEXEC)
    pid = os.posix_spawn(
        "/bin/cat",
        ["cat"],
        environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, stdin_read, 0), (os.POSIX_SPAWN_DUP2, stdout_write, 1)],
    )
    os.close(stdin_read)
    os.close(stdout_write)
    os.write(stdin_write, body)
    os.close(stdin_write)
    output = b""
    while piece := os.read(stdout_read, 65536):
        output += piece
    os.close(stdout_read)
    os.waitpid(pid, 0)
    return output


def _forked(port: int, connections: int, options: Options) -> Callable[[], Mapping[str, float]]:
    def run() -> Mapping[str, float]:
        load = wrk(f"http://127.0.0.1:{port}/", options.seconds, connections, options.body)
        if load.failed:
            raise SystemExit(f"{load.failed} calls failed")
        return {"calls/s": load.per_second}

    return run


@contextlib.contextmanager
def watchdog(settings: Mapping[str, str]) -> Iterator[int]:
    port = free_port()
    with program([sys.executable, "-m", "fwatchdog"], port, {**_COMMON, **settings, "port": str(port)}):
        yield port


def started(mode: str) -> Mapping[str, float]:
    """Milliseconds from the start of the process to its line that it is ready, and MB of memory it then has."""
    port, upstream = free_port(), free_port()
    command = f"{sys.executable} {_SERVER} echo {upstream}" if mode == "http" else "cat"
    settings = {**_COMMON, "mode": mode, "fprocess": command, "upstream_url": f"http://127.0.0.1:{upstream}"}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "fwatchdog"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **settings, "port": str(port)},
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if b"event=ready" in line:
                break
        seconds = time.perf_counter() - began
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        return {"ready ms": seconds * 1000, "RSS MB": pages * os.sysconf("SC_PAGE_SIZE") / 1e6}
    finally:
        process.terminate()
        process.communicate()


if __name__ == "__main__":
    main()
