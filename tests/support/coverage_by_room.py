"""`./test --coverage`: which lines and branches the unit and contract tests run, in the programs they start too.

usage: ./test --coverage [--unit] [--record]

  --unit     only unit tests, which is what CI does: a minute, where all take a quarter of an hour
  --record   writes today's figures to tests/coverage.txt

A room that has fallen by more than a point below the figure in tests/coverage.txt is a failure. Tests that need an
engine are left out. `.venv/bin/coverage html` then shows each line.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ALL = "all rooms"
KINDS = ("unit", "unit and contract")
LEEWAY = 1.0
"""Points. Which lines run depends a little on how fast the machine is."""

_ROOT = Path(__file__).resolve().parents[2]
_RECORD = Path("tests/coverage.txt")
_TITLE = "# Lines and branches that tests run, in per cent: ./test --coverage [--unit] --record\n"
# That limits the memory of programs, and what measures them is part of it.
_UNMEASURABLE = "tests/contract/watchdog/test_footprint.py"


@dataclass(frozen=True)
class Tally:
    """Lines and branches."""

    run: int = 0
    there: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.run + other.run, self.there + other.there)

    @property
    def percent(self) -> float:
        return 100 * self.run / self.there if self.there else 100.0


def by_room(report: Mapping[str, Any]) -> dict[str, float]:
    """The percentage of each room, and of all together, from coverage's JSON."""
    tallies = {ALL: Tally()}
    for name, file in report["files"].items():
        found = file["summary"]
        tally = Tally(
            found["covered_lines"] + found["covered_branches"], found["num_statements"] + found["num_branches"]
        )
        for room in (ALL, room_of(name)):
            tallies[room] = tallies.get(room, Tally()) + tally
    return {room: tally.percent for room, tally in tallies.items()}


def room_of(name: str) -> str:
    """The folder that a file lies in, or the one above it that is not deeper than two."""
    return "/".join(Path(name).parent.parts[:2])


def parsed(text: str) -> dict[str, dict[str, float]]:
    """The figures of each kind of run, by room."""
    figures: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
    for line in text.splitlines():
        if not line.startswith("#"):
            room, *columns = (word.strip() for word in line.split("|"))
            figures |= {kind: figures[kind] | {room: float(word)} for kind, word in zip(KINDS, columns, strict=True)}
    return figures


def written(figures: Mapping[str, Mapping[str, float]]) -> str:
    """The file with these figures. Where one was not measured it is 0, which holds nobody to anything."""
    rooms = sorted({room for kind in KINDS for room in figures[kind]}, key=lambda room: (room == ALL, room))
    lines = [f"# {'room':20} | {KINDS[0]:>5} | {KINDS[1]}"]
    lines += [
        f"{room:22} | {figures[KINDS[0]].get(room, 0):5.1f} | {figures[KINDS[1]].get(room, 0):5.1f}" for room in rooms
    ]
    return _TITLE + "\n".join(lines) + "\n"


def fallen(now: Mapping[str, float], before: Mapping[str, float]) -> Iterator[str]:
    """A sentence for each room that has fallen, or that nobody has recorded."""
    for room, percent in now.items():
        if room not in before:
            yield f"{room}: {percent:.1f} %, which {_RECORD} does not have yet"
        elif percent < before[room] - LEEWAY:
            yield f"{room}: {percent:.1f} %, it was {before[room]:.1f} %"


def measure(folders: Sequence[str]) -> int:
    """Runs the tests; pytest's exit code. The data of all processes lies in one file then."""
    shutil.rmtree(_ROOT / ".coverage", ignore_errors=True)
    command = [sys.executable, "-m", "coverage", "run", "-m", "pytest", "-q", "-m", "not engine"]
    command += ["-n", "4", "--dist", "loadscope", "--no-loadscope-reorder", f"--ignore={_UNMEASURABLE}", *folders]
    code = subprocess.run(command, cwd=_ROOT, stdin=subprocess.DEVNULL, check=False).returncode
    # A process that was killed while it wrote leaves a file that cannot be read, of which this warns.
    subprocess.run(
        [sys.executable, "-m", "coverage", "combine", "-q"], cwd=_ROOT, stderr=subprocess.DEVNULL, check=False
    )
    return code


def report() -> dict[str, Any]:
    command = [sys.executable, "-m", "coverage", "json", "-q", "-o", "-"]
    done = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main(arguments: Sequence[str]) -> int:
    """pytest's exit code; 1 where a room has fallen."""
    parser = argparse.ArgumentParser(prog="./test --coverage")
    parser.add_argument("--unit", action="store_true")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args(arguments)
    kind = KINDS[0] if options.unit else KINDS[1]
    code = measure(["tests/unit"] if options.unit else ["tests/unit", "tests/contract"])
    now = by_room(report())
    record = _ROOT / _RECORD
    figures = parsed(record.read_text())
    print(f"== lines and branches that {kind} tests run")
    for room, percent in sorted(now.items(), key=lambda item: (item[0] == ALL, item[0])):
        print(f"{room:22} {percent:5.1f} %")
    if options.record:
        record.write_text(written({**figures, kind: now}))
        return code
    sentences = list(fallen(now, figures[kind]))
    print(*sentences, sep="\n", flush=True)
    return code or bool(sentences)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
