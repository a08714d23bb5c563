"""Making one virtual environment with commands, which can be broken off."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from importlib import metadata
from pathlib import Path

from swarmfn.provider.local.environment import host_environment, machine_python
from swarmfn.provider.local.output import last_line
from swarmfn.provider.local.processes import MARKER, Mark
from swarmfn.provider.local.requirements import REQUIREMENTS

_STEP_LIMIT = 900.0
_PIP_WITH_PYTHON_OPTION = (22, 3)
_PASSED_ON = ("PIP_", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_PASSED_ON_NAMES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")


class Installer:
    """Runs one installation on each thread that asks for it, until it is closed."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._is_closing = False

    def install(self, venv: Path, folder: Path, needs_packages: bool, mark: Mark, log: Path) -> str:
        """Makes `venv` again, with the packages that `folder` asks for if it `needs_packages`.

        Returns why it failed, "" if the environment is there. Raises OSError.
        """
        shutil.rmtree(venv, ignore_errors=True)
        log.write_bytes(b"")
        for step in _steps(venv, needs_packages):
            if problem := self._run(step, folder, mark, log):
                return problem
        return ""

    def close(self) -> None:
        """Kills what is running; nothing starts any more."""
        with self._lock:
            self._is_closing = True
            for process in self._running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def _run(self, argv: list[str], folder: Path, mark: Mark, log: Path) -> str:
        environment = {**host_environment(), **_passed_on(), MARKER: str(mark)}
        with self._lock:
            if self._is_closing:
                return "the gateway is stopping"
            with log.open("ab") as output:
                process = subprocess.Popen(
                    argv,
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            self._running.add(process)
        try:
            status = process.wait(_STEP_LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"it was not done after {_STEP_LIMIT:g} s"
        finally:
            with self._lock:
                self._running.discard(process)
        return "" if status == 0 else last_line(log) or f"status {status}"


def _steps(venv: Path, needs_packages: bool) -> list[list[str]]:
    """The commands that make the environment."""
    options = ["--disable-pip-version-check", "--no-input"]
    install = ["install", "--progress-bar", "off", "-r", REQUIREMENTS]
    python = str(venv / "bin" / "python")
    bare = [machine_python(), "-m", "venv", "--without-pip", str(venv)]
    if not needs_packages:
        return [bare]
    if _can_install_elsewhere():
        return [bare, [sys.executable, "-m", "pip", "--python", python, *options, *install]]
    return [[machine_python(), "-m", "venv", str(venv)], [python, "-m", "pip", *options, *install]]


def _can_install_elsewhere() -> bool:
    """Whether this process's own pip can fill other environments, which saves installing pip in each."""
    try:
        major, minor = metadata.version("pip").split(".")[:2]
        return (int(major), int(minor)) >= _PIP_WITH_PYTHON_OPTION
    except (metadata.PackageNotFoundError, ValueError):
        return False


def _passed_on() -> dict[str, str]:
    """The parts of this process's environment that decide where packages come from."""
    return {
        name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON) or name in _PASSED_ON_NAMES
    }
