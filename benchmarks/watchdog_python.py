"""A Python echo behind the watchdog, all in one run: mode python, wsgi and asgi, a new interpreter for each call (fork)
and http in front of Flask on waitress. Prints CPU µs per call, calls a second and latencies, and what starting and
idling costs."""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rig import REPOSITORY, cpu_seconds, free_port, machine, program, rounds, table, wait_for_port, wrk

_HANDLER = """
def handle(event, context):
    return event.body
"""
_FORKED = """
import sys
sys.stdout.buffer.write(sys.stdin.buffer.read())
"""
_FLASK = """
import flask
app = flask.Flask(__name__)

@app.post("/")
def echo():
    return flask.Response(flask.request.get_data(), content_type="application/octet-stream")

if __name__ == "__main__":
    import sys, waitress
    waitress.serve(app, host="127.0.0.1", port=int(sys.argv[1]), threads=16)
"""
_ASGI = """
async def app(scope, receive, send):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""
_SOURCES = {"python": _HANDLER, "fork": _FORKED, "wsgi": _FLASK, "http": _FLASK, "asgi": _ASGI}
_WATCHDOG = {"suppress_lock": "true", "metrics_port": "0", "healthcheck_interval": "0", "PYTHONDONTWRITEBYTECODE": ""}


@dataclass(frozen=True)
class Options:
    """seconds: of load for each contestant in each round; body: bytes of each request's body."""

    rounds: int
    seconds: int
    connections: int
    body: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of load for each contestant in each round")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--body", type=int, default=1024, help="bytes of each request's body")
    options = Options(**vars(parser.parse_args()))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = {name: settings_for(name, folder) for name in _SOURCES}
        servers = {}
        for name, variables in settings.items():
            port = free_port()
            command = [sys.executable, "-m", "fwatchdog"]
            process = stack.enter_context(program(command, port, {**_WATCHDOG, **variables, "port": str(port)}))
            servers[f"mode={name}"] = process, port
        port = free_port()
        waitress = stack.enter_context(program([sys.executable, folder / "http" / "handler.py", str(port)], port))
        servers["Flask on waitress alone"] = waitress, port
        contestants = {name: contestant(process, port, options) for name, (process, port) in servers.items()}
        table(rounds(options.rounds, contestants), "mode=fork", "calls/s", smaller_is_better=False)
        print(f"\nStarting and idling, medians of {options.rounds}:\n")
        print_starts({name: settings[name] for name in ("fork", "python", "wsgi")}, options.rounds)


def settings_for(name: str, folder: Path) -> dict[str, str]:
    """The watchdog's settings for one contestant, whose code is written to a folder of its own."""
    own = folder / name
    own.mkdir()
    (own / "handler.py").write_text(_SOURCES[name])
    if name == "fork":
        return {"fprocess": f"{sys.executable} {own / 'handler.py'}"}
    if name == "http":
        port = free_port()
        server = f"{sys.executable} {own / 'handler.py'} {port}"
        return {"mode": "http", "fprocess": server, "upstream_url": f"http://127.0.0.1:{port}"}
    return {"mode": name, "handler_path": str(own)}


def contestant(process: subprocess.Popen[bytes], port: int, options: Options) -> Callable[[], Mapping[str, float]]:
    """One measurement: load for some seconds, and the CPU that the contestant's processes used for it."""

    def run() -> Mapping[str, float]:
        before = cpu_seconds(process)
        seen = wrk(f"http://127.0.0.1:{port}/", options.seconds, options.connections, options.body)
        if seen.failed:
            raise SystemExit(f"{seen.failed} calls failed")
        used = cpu_seconds(process)
        return {
            "CPU µs": (used - before) * 1e6 / seen.requests,
            "calls/s": seen.per_second,
            "p50 ms": seen.p50,
            "p99 ms": seen.p99,
        }

    return run


def print_starts(settings: Mapping[str, Mapping[str, str]], count: int) -> None:
    """From the start of the watchdog to the first open port, and the memory of its processes after some seconds."""
    print("| | ready after ms | watchdog MB | each worker process MB |")
    print("|---|---:|---:|---:|")
    for name, variables in settings.items():
        seen = [start_once(variables) for _ in range(count)]
        ready, own, worker = (statistics.median(one[index] for one in seen) for index in range(3))
        print(f"| mode={name} | {ready:.0f} | {own:.1f} | {worker:.1f} |")
    print(f"\n{machine()}")


def start_once(variables: Mapping[str, str]) -> tuple[float, float, float]:
    port = free_port()
    started = time.monotonic()
    with program([sys.executable, "-m", "fwatchdog"], None, {**_WATCHDOG, **variables, "port": str(port)}) as process:
        wait_for_port(process, port)
        ready = (time.monotonic() - started) * 1000
        time.sleep(1.5)
        workers = [resident(pid) for pid in children(process.pid)]
        return ready, resident(process.pid), statistics.mean(workers) if workers else 0.0


def children(pid: int) -> Iterator[int]:
    return map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def resident(pid: int) -> float:
    """Megabytes of memory of its own (not shared with others), and its part of what is shared."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    os.chdir(REPOSITORY)
    main()
