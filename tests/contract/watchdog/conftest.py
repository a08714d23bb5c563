"""Watchdogs to test: started in the mode and with the settings that a test asks for, or anybody's (`--url`).

What every mode promises is in test_every_mode.py, test_ends_of_runs.py and test_drains.py; what can be seen over HTTP
alone is in test_over_http.py:

    pytest tests/contract/watchdog --url http://127.0.0.1:8080

runs the latter against a watchdog that runs already, ours or another's. With a function that returns the body it gets
(such as `cat`) in it, all of them; with any other, those that need no such function.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fwatchdog.settings import MODES, STATIC
from tests.support.processes import free_port
from tests.support.watchdog import FUNCTIONS, Watchdog, WatchdogAt

Start = Callable[..., Watchdog]

EVERY_MODE = tuple(mode for mode in MODES if mode != STATIC)
"""The modes that run a function; mode=static has none."""

OVER_HTTP = frozenset({"served", "echoing"})
_SERVER = FUNCTIONS / "server" / "serve.py"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    url = metafunc.config.getoption("--url")
    for fixture in OVER_HTTP.intersection(metafunc.fixturenames):
        modes = EVERY_MODE if fixture == "echoing" else (*EVERY_MODE, "static")
        metafunc.parametrize(fixture, ["url"] if url else modes, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--url` only what needs nothing but HTTP is left."""
    if not config.getoption("--url"):
        return
    chosen = [item for item in items if OVER_HTTP.intersection(getattr(item, "fixturenames", ()))]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def settings_for(mode: str, name: str) -> dict[str, object]:
    """The settings with which a watchdog serves the function `name` of tests/functions in `mode`."""
    if mode == "python":
        return {"handler_path": FUNCTIONS / name}
    if mode in ("wsgi", "asgi"):
        return {"mode": mode, "handler_path": FUNCTIONS / mode, "handler": f"every_mode:{name}"}
    if mode == "http":
        port = free_port()
        command = f"{sys.executable} {_SERVER} {name} {port}"
        return {"mode": mode, "fprocess": command, "upstream_url": f"http://127.0.0.1:{port}"}
    script = FUNCTIONS / name / "run.sh"
    return {"mode": mode, "fprocess": f"sh {script}" if script.exists() else "cat"}


def in_text(settings: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in settings.items()}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts watchdogs with settings; they end with the test."""
    with ExitStack() as stack:
        numbers = iter(range(100))

        def start_one(wait: bool = True, **settings: object) -> Watchdog:
            log = tmp_path / f"watchdog-{next(numbers)}.log"
            return stack.enter_context(Watchdog(log, in_text(settings), wait))

        yield start_one


class Serve:
    """`serve(name, **settings)`: a watchdog of the test's own with that function, in `mode`."""

    def __init__(self, mode: str, start: Start, shared: Callable[..., Watchdog]) -> None:
        self.mode = mode
        self._start = start
        self._shared = shared

    def __call__(self, name: str, **settings: object) -> Watchdog:
        return self._start(**settings_for(self.mode, name), **settings)

    def shared(self, name: str, **settings: object) -> Watchdog:
        """The same for all that ask for the same, started once: for tests that leave it as they found it."""
        return self._shared(self.mode, name, **settings)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Watchdog]]:
    with ExitStack() as stack:
        running: dict[object, Watchdog] = {}

        def get(mode: str, name: str, **settings: object) -> Watchdog:
            key = (mode, name, *sorted(in_text(settings).items()))
            if key not in running:
                log = tmp_path_factory.mktemp("watchdog") / "log"
                texts = in_text({**settings_for(mode, name), **settings})
                running[key] = stack.enter_context(Watchdog(log, texts))
            return running[key]

        yield get


@pytest.fixture(params=EVERY_MODE)
def serve(request: pytest.FixtureRequest, start: Start, shared: Callable[..., Watchdog]) -> Serve:
    """The function of tests/functions in each mode, for what all modes promise."""
    return Serve(request.param, start, shared)


@pytest.fixture(params=[mode for mode in EVERY_MODE if mode != "http"])
def serve_runs(request: pytest.FixtureRequest, start: Start, shared: Callable[..., Watchdog]) -> Serve:
    """The same for modes in which a call has a process to itself, which ends with it or is killed."""
    return Serve(request.param, start, shared)


@pytest.fixture(scope="session")
def served(
    request: pytest.FixtureRequest, shared: Callable[..., Watchdog], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WatchdogAt]:
    """A watchdog with any function: ours in each mode, or the one at `--url`."""
    if request.param == "url":
        yield _watchdog_at(request.config.getoption("--url"))
    elif request.param == "static":
        folder = tmp_path_factory.mktemp("public")
        (folder / "index.html").write_text("<p>hello</p>")
        with Watchdog(folder.parent / "static.log", {"mode": "static", "static_path": str(folder)}) as watchdog:
            yield watchdog
    else:
        yield shared(request.param, "echo")


@pytest.fixture(scope="session")
def echoing(request: pytest.FixtureRequest, shared: Callable[..., Watchdog]) -> WatchdogAt:
    """A watchdog whose function answers with the body it got."""
    if request.param != "url":
        return shared(request.param, "echo")
    watchdog = _watchdog_at(request.config.getoption("--url"))
    if watchdog.request(b"is it an echo?").body != b"is it an echo?":
        pytest.skip("the function there does not answer with the body it gets")
    return watchdog


def _watchdog_at(url: str) -> WatchdogAt:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
        pytest.fail(f"--url: expected http://HOST:PORT, got {url}")
    return WatchdogAt(parts.hostname, parts.port or 80)
