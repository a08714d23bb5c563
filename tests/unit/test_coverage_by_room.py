"""What `./test --coverage` makes of coverage's report, and that it measures the programs which tests start."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.coverage_by_room import ALL, KINDS, by_room, fallen, parsed, written
from tests.support.processes import MEASURED, REPOSITORY

START_ANOTHER = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import fwatchdog.cgi'], check=True)"


def file(lines: int, covered_lines: int, branches: int = 0, covered_branches: int = 0) -> dict[str, Any]:
    counts = {"num_statements": lines, "covered_lines": covered_lines}
    return {"summary": {**counts, "num_branches": branches, "covered_branches": covered_branches}}


def test_a_room_is_a_folder_and_what_lies_deeper_than_two_counts_there() -> None:
    files = {
        "worker/upkeep.py": file(10, 9, 10, 8),
        "swarmfn/provider/__init__.py": file(0, 0),
        "swarmfn/provider/local/engine.py": file(30, 15),
        "swarmfn/provider/swarm/engine.py": file(10, 10),
    }
    assert by_room({"files": files}) == {ALL: 70.0, "worker": 85.0, "swarmfn/provider": 62.5}


def test_figures_that_were_written_are_read_again() -> None:
    figures = {KINDS[0]: {"worker": 61.25, ALL: 50.0}, KINDS[1]: {"worker": 99.0, ALL: 75.5}}
    read = parsed(written(figures))
    assert read == {KINDS[0]: {"worker": 61.2, ALL: 50.0}, KINDS[1]: {"worker": 99.0, ALL: 75.5}}
    assert list(read[KINDS[0]]) == ["worker", ALL]


def test_a_room_may_fall_by_a_point_and_not_by_more() -> None:
    before = {"worker": 90.0, "stack": 80.0, "gateway": 70.0}
    now = {"worker": 89.1, "stack": 78.9, "gateway": 75.0}
    assert list(fallen(now, before)) == ["stack: 78.9 %, it was 80.0 %"]


def test_a_room_that_nobody_has_recorded_is_told() -> None:
    assert list(fallen({"new": 100.0}, {})) == ["new: 100.0 %, which tests/coverage.txt does not have yet"]


def test_programs_that_are_started_are_measured_too(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != MEASURED}
    environment["COVERAGE_FILE"] = str(tmp_path / "data")
    (tmp_path / "start.py").write_text(START_ANOTHER)
    program, settings = str(tmp_path / "start.py"), str(REPOSITORY / "setup.cfg")
    command = [sys.executable, "-m", "coverage", "run", "--rcfile", settings, program]
    subprocess.run(command, cwd=REPOSITORY, env={**environment, "PYTHONPATH": "."}, check=True, capture_output=True)
    measured = set()
    for data in tmp_path.glob("data*"):
        with sqlite3.connect(data) as database:
            measured |= {name for (name,) in database.execute("select path from file")}
    assert str(REPOSITORY / "fwatchdog/cgi.py") in measured
