"""A plugin of pytest for `./test --mutants`: records what each test reaches, or runs only the tests that it is told.

With REACH_ONLY a test that takes much longer than it should is ended, as one that has failed.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import signal
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from types import FrameType

import pytest

from tests.support.reach import MAP, ONLY, RECORD

_LEAST = 15.0
_TIMES_LONGER = 6


def pytest_configure(config: pytest.Config) -> None:
    if record := os.environ.get(RECORD):
        config.pluginmanager.register(_Recorder(Path(os.environ[MAP]), Path(record)))
    if only := os.environ.get(ONLY):
        config.pluginmanager.register(_Chosen(json.loads(Path(only).read_text())))


class _Recorder:
    def __init__(self, shared: Path, record: Path) -> None:
        with shared.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), 0)
        self._record = record
        self._imports: list[int] = []
        self._seconds: dict[str, float] = defaultdict(float)
        self._probes: dict[str, list[int]] = {}
        self._fixtures: dict[str, set[int]] = defaultdict(set)
        self._failed: set[str] = set()

    def pytest_collection_finish(self) -> None:
        self._imports = self._taken()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration
        if report.outcome != "passed":
            self._failed.add(report.nodeid)
        if report.when == "call":
            self._probes[report.nodeid] = self._taken()
        else:
            self._fixtures[report.nodeid.partition("::")[0]].update(self._taken())

    def pytest_sessionfinish(self) -> None:
        passed = {test: probes for test, probes in self._probes.items() if test not in self._failed}
        found = {
            "seconds": self._seconds,
            "probes": passed,
            "fixtures": {file: sorted(probes) for file, probes in self._fixtures.items()},
            "imports": self._imports,
        }
        self._record.write_text(json.dumps(found))

    def _taken(self) -> list[int]:
        reached = [match.start() for match in re.finditer(b"\1", self._bytes)]
        self._bytes[:] = bytes(len(self._bytes))
        return reached


class _Chosen:
    def __init__(self, tests: dict[str, float]) -> None:
        self._tests = tests

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """In the order in which they were given."""
        places = {test: place for place, test in enumerate(self._tests)}
        items[:] = sorted((item for item in items if item.nodeid in places), key=lambda item: places[item.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        signal.signal(signal.SIGALRM, _too_long)
        signal.setitimer(signal.ITIMER_REAL, _LEAST + _TIMES_LONGER * self._tests[item.nodeid])
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TimeoutError("the test takes much longer than without the fault")
