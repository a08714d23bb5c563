"""Watchdogs to test: started per test, in the mode and with the settings it asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.watchdog import FUNCTIONS, Watchdog

Start = Callable[..., Watchdog]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts watchdogs with settings; they end with the test."""
    with ExitStack() as stack:
        numbers = iter(range(100))

        def start_one(wait: bool = True, **settings: object) -> Watchdog:
            texts = {name: str(value) for name, value in settings.items()}
            return stack.enter_context(Watchdog(tmp_path / f"watchdog-{next(numbers)}.log", texts, wait))

        yield start_one


@pytest.fixture(params=["fork", "python"])
def serve(request: pytest.FixtureRequest, start: Start) -> Start:
    """`serve(name, **settings)`: the function of tests/functions in each mode, for what all modes promise."""

    def serve_one(name: str, **settings: object) -> Watchdog:
        folder = FUNCTIONS / name
        if request.param == "python":
            return start(handler_path=folder, **settings)
        script = folder / "run.sh"
        return start(fprocess=f"sh {script}" if script.exists() else "cat", **settings)

    return serve_one
