"""Instructions that the gateway runs for each call, under valgrind's callgrind: what a change costs, more exactly than
times tell. Compares this checkout with another one (`git worktree add OTHER COMMIT`).

What the gateway does without calls is measured too, and left out; on a busy machine, where a load takes longer, too
much is left out. The kernel's part is not counted, so that a difference is larger here than in CPU time."""

from __future__ import annotations

import argparse
import contextlib
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rig import REPOSITORY, behind_the_gateway, free_port, gateway_environment, program, redis

_BODY = b"x" * 1024
_IDLE = 8.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="the earlier checkout")
    parser.add_argument("--rounds", type=int, default=30, help="calls on each connection")
    options = parser.parse_args()
    checkouts = {"before": options.other.resolve(), "after": REPOSITORY}
    print("| | before | after | times before |\n|---|---:|---:|---:|")
    with behind_the_gateway() as (folder, upstream):
        for title, path, connections in (
            ("synchronous", "/function/noop", 32),
            ("accept", "/async-function/noop", 64),
        ):
            before, after = (
                measured(checkout, folder, upstream, path, connections, options.rounds)
                for checkout in checkouts.values()
            )
            print(f"| {title} | {before:,.0f} | {after:,.0f} | {after / before:.3f} |", flush=True)


def measured(checkout: Path, folder: Path, upstream: int, path: str, connections: int, rounds: int) -> float:
    with redis("bench", appendonly="yes") as redis_port, tempfile.TemporaryDirectory() as dumps:
        port = free_port()
        env = {**gateway_environment(checkout, port, folder, redis_port), "PYTHONHASHSEED": "0"}
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={dumps}/dump", "--instr-atstart=no"]
        gateway = [sys.executable, checkout / "benchmarks/gateway_for.py", f"noop=127.0.0.1:{upstream}"]
        with program([*valgrind, *gateway], env=env) as process:
            wait_for(port)
            load(port, path, connections, rounds // 2)
            control(process, "--instr=on")
            seconds = load(port, path, connections, rounds)
            control(process, "--dump")
            time.sleep(_IDLE)
            control(process, "--dump")
            busy, idle = totals(Path(dumps))
        return (busy - idle / _IDLE * seconds) / (connections * rounds)


def wait_for(port: int) -> None:
    until = time.monotonic() + 120
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise SystemExit("the gateway did not start; is valgrind installed?") from None
            time.sleep(0.2)


def load(port: int, path: str, connections: int, rounds: int) -> float:
    """Each round sends one call over each connection and waits for all answers. Returns the seconds it took."""
    request = b"POST %b HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(_BODY), _BODY)
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 120)) for _ in range(connections)]
        for _ in range(rounds):
            for client in clients:
                client.sendall(request)
            for client in clients:
                answer = b""
                while b"\r\n\r\n" not in answer:
                    answer += client.recv(65536)
                if not answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 202 ")):
                    raise SystemExit(f"a call failed: {answer[:200]!r}")
    return time.monotonic() - began


def control(process: subprocess.Popen[bytes], command: str) -> None:
    subprocess.run(["callgrind_control", command, str(process.pid)], check=True, capture_output=True)


def totals(folder: Path) -> Iterator[int]:
    """Of the dumps in their order."""
    for path in sorted(folder.glob("dump.*"), key=lambda each: int(each.suffix[1:])):
        match = re.search(r"^totals: (\d+)", path.read_text(), re.MULTILINE)
        assert match
        yield int(match[1])


if __name__ == "__main__":
    main()
