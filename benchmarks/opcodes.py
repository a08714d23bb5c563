"""Steps of Python's bytecode that the gateway takes for each call, by function. The count is exact however busy the
machine is; what is written in C takes no step. Compares this checkout with another one if one is given, whose totals
come first."""

from __future__ import annotations

import argparse
import os
import runpy
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from instructions import load, wait_for
from rig import REPOSITORY, behind_the_gateway, free_port, gateway_environment, program, redis

_ROUNDS = 20
_INSIDE = "OPCODES_TO"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, nargs="?", help="the earlier checkout")
    parser.add_argument("--functions", type=int, default=30, help="how many of the costliest to show")
    options = parser.parse_args()
    if options.other:
        for title, counted in measured(options.other.resolve()).items():
            print(f"before, {title}: {sum(steps for steps, _ in counted):,.0f} steps a call")
    for title, counted in measured(REPOSITORY).items():
        print(f"\n{title}: {sum(steps for steps, _ in counted):,.0f} steps a call")
        for steps, name in counted[: options.functions]:
            print(f"{steps:8.1f}  {name}")


def measured(checkout: Path) -> dict[str, list[tuple[float, str]]]:
    """Of a gateway from `checkout`, by the kind of call: steps a call and the function that takes them."""
    with behind_the_gateway() as (folder, upstream), redis("bench", appendonly="yes") as redis_port:
        port = free_port()
        env = {**gateway_environment(checkout, port, folder, redis_port), _INSIDE: str(folder / "steps")}
        command = [sys.executable, __file__, checkout / "benchmarks/gateway_for.py", f"noop=127.0.0.1:{upstream}"]
        with program(command, env=env) as process:
            wait_for(port)
            synchronous = counted(process, folder / "steps", port, "/function/noop", 32)
            accept = counted(process, folder / "steps", port, "/async-function/noop", 64)
            return {"synchronous": synchronous, "accept": accept}


def counted(
    process: subprocess.Popen[bytes], result: Path, port: int, path: str, connections: int
) -> list[tuple[float, str]]:
    load(port, path, connections, 3)
    process.send_signal(signal.SIGUSR1)
    time.sleep(0.1)
    load(port, path, connections, _ROUNDS)
    process.send_signal(signal.SIGUSR1)
    while not result.exists():
        time.sleep(0.05)
    lines = [line.split("\t") for line in result.read_text().splitlines()]
    result.unlink()
    return [(int(steps) / connections / _ROUNDS, name) for steps, name in lines]


def inside(script: str, result: Path) -> None:
    """Runs `script`, and counts between one SIGUSR1 and the next."""
    steps: Counter[str] = Counter()
    is_on = False

    def trace(frame: FrameType, _event: str, _argument: Any) -> Any:
        if not is_on:
            return None
        code = frame.f_code
        name = f"{code.co_qualname} ({Path(code.co_filename).name}:{code.co_firstlineno})"
        frame.f_trace_opcodes, frame.f_trace_lines = True, False

        def step(_frame: FrameType, event: str, _argument: Any) -> Any:
            if event == "opcode":
                steps[name] += 1
            return step

        return step

    def turn(*_: Any) -> None:
        nonlocal is_on
        is_on = not is_on
        if not is_on:
            unfinished = result.with_suffix(".new")
            unfinished.write_text("".join(f"{count}\t{name}\n" for name, count in steps.most_common()))
            unfinished.rename(result)
            steps.clear()

    signal.signal(signal.SIGUSR1, turn)
    sys.argv = sys.argv[1:]
    sys.settrace(trace)
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    if _INSIDE in os.environ:
        inside(sys.argv[1], Path(os.environ[_INSIDE]))
    else:
        main()
