"""What an idle watchdog costs: every replica of every function carries one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fwatchdog.settings import IN_WORKERS, MODES
from tests.support.processes import REPOSITORY, free_port
from tests.support.watchdog import FUNCTIONS, Watchdog

WITHOUT_WORKERS = tuple(mode for mode in MODES if mode not in IN_WORKERS)
MOST_MEMORY = 25_000_000

# Importing one more is a decision: it is paid for in start time and memory by every replica.
_STANDARD_LIBRARY = """
__future__ __main__ abc array ast asyncio atexit builtins codecs collections concurrent contextlib contextvars
copy copyreg dataclasses dis encodings enum errno fcntl fnmatch functools fwatchdog genericpath heapq importlib
inspect io ipaddress itertools json keyword linecache locale logging marshal math ntpath opcode operator os
pathlib posix posixpath re reprlib resource select selectors signal socket stat string subprocess swarmfn sys
textwrap threading time token tokenize traceback types typing urllib warnings weakref zipimport
"""
_FORKING = frozenset({"binascii"})
MORE = {
    "fork": _FORKING,
    "serializing": _FORKING,
    "streaming": _FORKING,
    "static": frozenset({"datetime", "mimetypes"}),
}

# Python 3.13's own modules import these where 3.11's do not.
NEWER = frozenset({"glob", "grp", "pwd"}) if sys.version_info >= (3, 13) else frozenset()

_LIST = """
import sys
sys.path.insert(0, sys.argv[1])
import fwatchdog.__main__
from fwatchdog.settings import Settings
from fwatchdog.modes.choice import create_mode
import asyncio

async def create():
    variables = {"mode": sys.argv[2], "fprocess": "cat", "upstream_url": "http://127.0.0.1:1"}
    create_mode(Settings.load(variables), None, print)

asyncio.run(create())
print(*sys.modules)
"""


@pytest.mark.parametrize("mode", WITHOUT_WORKERS)
def test_list_of_what_is_imported(mode: str) -> None:
    command = [sys.executable, "-I", "-S", "-c", _LIST, str(REPOSITORY), mode]
    modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    imported = {name.partition(".")[0] for name in modules}
    own = {name for name in imported if not name.startswith("_") or name == "__future__"}
    assert own - set(_STANDARD_LIBRARY.split()) - MORE.get(mode, frozenset()) - NEWER == set()
    parts = {name.split(".")[2] for name in modules if name.startswith("fwatchdog.modes.")}
    assert parts & set(MODES) == {"fork" if mode == "serializing" else mode}
    assert {"ssl", "_ctypes", "_ssl"}.isdisjoint(modules)


@pytest.mark.parametrize("mode", WITHOUT_WORKERS)
def test_memory_of_an_idle_watchdog(start: Callable[..., Watchdog], tmp_path: Path, mode: str) -> None:
    (tmp_path / "index.html").write_text("hello")
    port = free_port()
    command = f"{sys.executable} {FUNCTIONS / 'server' / 'serve.py'} echo {port}" if mode == "http" else "cat"
    watchdog = start(mode=mode, fprocess=command, upstream_url=f"http://127.0.0.1:{port}", static_path=tmp_path)
    assert watchdog.request(None, "/", "GET").status == 200
    assert watchdog.memory() < MOST_MEMORY
