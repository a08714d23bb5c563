"""What a replica carries: each module costs memory in every replica of every function, and time at every start."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.processes import REPOSITORY

HEAVY = {
    "ssl", "email", "http.client", "urllib.request", "concurrent.futures.process", "multiprocessing", "sqlite3",
    "xml", "unittest", "pydoc", "ctypes", "shutil", "tempfile", "importlib.metadata", "decimal", "statistics",
}  # fmt: skip


def modules_after(statement: str) -> set[str]:
    """The modules that it loads on top of those that any Python program has."""
    return _loaded(statement) - _loaded("pass")


def _loaded(statement: str) -> set[str]:
    program = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_watchdog_imports_nothing_heavy() -> None:
    assert not modules_after("import fwatchdog.__main__") & HEAVY


def test_the_modes_come_when_they_are_chosen() -> None:
    loaded = modules_after("import fwatchdog.__main__")
    parts = {name for name in loaded if name.startswith(("fwatchdog.modes.", "fwatchdog.python_worker"))}
    assert parts == {"fwatchdog.modes.choice"}


@pytest.mark.parametrize("kind", ["handler", "surroundings", "responses", "wsgi"])
def test_a_worker_process_has_little_of_ours_beside_the_function(kind: str) -> None:
    loaded = modules_after(f"import fwatchdog.python_worker.main, fwatchdog.python_worker.{kind}")
    assert not loaded & (HEAVY | {"asyncio", "logging"})
    ours = {name for name in loaded if name.split(".")[0] in ("fwatchdog", "swarmfn")}
    parts = {name.split(".")[1] for name in ours if "." in name}
    assert parts == {"python_worker", "wire", *({"cgi"} if kind == "surroundings" else ())}
