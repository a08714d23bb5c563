"""Looking for settings that cannot be used, before anything starts that would end because of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from stack.compose.model import Service
from stack.errors import StackError
from swarmfn.wire.environment import misspelt_settings
from swarmfn.wire.secret_files import PASSWORD, REDIS_PASSWORD, USER

_PROGRAMS = ("gateway", "worker")
_SECRETS = (USER, PASSWORD, REDIS_PASSWORD)
_PATIENCE = 30.0
_REFERENCE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_APPENDFSYNC = ("always", "everysec", "no")
_MAXMEMORY = re.compile(r"auto|[0-9]+([kmg]b?|b)?", re.IGNORECASE)


def check_settings(
    services: Mapping[str, Service], files: Iterable[Path], root: Path, say: Callable[[str], None]
) -> None:
    """Raises StackError that names every setting in the environment of `services` that their programs, in `root`,
    cannot use. Says which variables of this process are nearly called like one that the compose `files` name."""
    known = {name for file in files for name in _REFERENCE.findall(file.read_text())}
    odd = list(misspelt_settings(os.environ, known))
    problems = [f"redis: {problem}" for problem in _redis_problems(services)]
    with tempfile.TemporaryDirectory(prefix="swarmfn-") as folder:
        for secret in _SECRETS:
            # The real ones are made later, and are none of the user's settings.
            Path(folder, secret).write_text("x")
        running = {
            name: _start(name, services[name].environment, root, folder)
            for name in _PROGRAMS
            if name in services and _is_ours(services[name].command, name)
        }
        for name, process in running.items():
            out, err = process.communicate(timeout=_PATIENCE)
            odd += out.splitlines()
            if process.returncode == 2:
                problems += [f"{name}: {line}" for line in err.splitlines()]
    for sentence in dict.fromkeys(filter(None, odd)):
        say(f"warning: {sentence}")
    if problems:
        raise StackError("these settings cannot be used:" + "".join(f"\n  {problem}" for problem in problems))


def _start(name: str, environment: Mapping[str, str], root: Path, secrets: str) -> subprocess.Popen[str]:
    own = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(root), "secret_mount_path": secrets}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", f"{name}.settings"],
        env={**environment, **own},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _is_ours(command: Sequence[str], name: str) -> bool:
    return list(command[-2:]) == ["-m", name]


def _redis_problems(services: Mapping[str, Service]) -> list[str]:
    environment = services["redis"].environment if "redis" in services else {}
    problems = []
    if (fsync := environment.get("appendfsync", "no")) not in _APPENDFSYNC:
        problems.append(f"redis_appendfsync: expected one of {', '.join(_APPENDFSYNC)}, got {fsync!r}")
    if not _MAXMEMORY.fullmatch(memory := environment.get("maxmemory", "auto")):
        problems.append(f'redis_maxmemory: expected auto or an amount such as "512mb", got {memory!r}')
    return problems
