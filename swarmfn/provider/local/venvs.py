"""Virtual environments for functions: one for each set of requirements, shared, made in the background, kept.

A handler runs in one even if it asks for no packages, so that it never sees those of the platform.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from swarmfn.provider.local import contents
from swarmfn.provider.local.decisions import Timing
from swarmfn.provider.local.environment import host_environment, machine_python
from swarmfn.provider.local.output import last_line
from swarmfn.provider.local.processes import MARKER, Mark
from swarmfn.provider.local.state_dir import StateDir

logger = logging.getLogger(__name__)

REQUIREMENTS = "requirements.txt"
# Written last: where it is missing, the folder is what an interrupted build left. (Building elsewhere and renaming
# would break the scripts in bin/, which name their interpreter by its full path.)
_COMPLETE = ".complete"
_PIP_WITH_PYTHON_OPTION = (22, 3)
_BUILDS_AT_ONCE = 2
_STEP_LIMIT = 900.0
_UNUSED_LIMIT = 7 * 86400.0
_PASSED_ON = ("PIP_", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_PASSED_ON_NAMES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")


def key_for(folder: Path, is_isolated: bool) -> str:
    """Names the environment that the folder's requirements need, the same for equal requirements.

    Without requirements: an empty one if `is_isolated`, else "", this machine's own Python.
    """
    text = _requirements(folder)
    if not text and not is_isolated:
        return ""
    rest = [sys.version, machine_python()]
    if _names_files(text):
        rest += [str(folder), contents.fingerprint(folder)]
    return f"{_digest(text)}-{_digest(*rest)}"


@dataclass
class _Build:
    is_running: bool = True
    needs_packages: bool = False
    failures: int = 0
    reason: str = ""
    retry_at: float = 0.0


class Venvs:
    """The environments in `cache/venvs/KEY`.

    Its methods belong to the main loop, which `post` gets back into. There `on_change` is called when one is ready or
    has failed.
    """

    def __init__(
        self,
        state: StateDir,
        timing: Timing,
        post: Callable[[Callable[[], None]], None],
        on_change: Callable[[], None],
    ) -> None:
        self._state = state
        self._timing = timing
        self._post = post
        self._on_change = on_change
        self._ready: set[str] = set()
        self._builds: dict[str, _Build] = {}
        self._builders = ThreadPoolExecutor(_BUILDS_AT_ONCE, "local-provider-venv")
        self._running: set[subprocess.Popen[bytes]] = set()
        self._running_lock = threading.Lock()
        self._is_closing = False

    def folder(self, key: str) -> Path:
        return self._state.venvs / key

    def python(self, key: str) -> str:
        """The interpreter to start replicas with."""
        return str(self.folder(key) / "bin" / "python") if key else machine_python()

    def is_ready(self, key: str) -> bool:
        if key and key not in self._ready and (self.folder(key) / _COMPLETE).exists():
            self._ready.add(key)
        return not key or key in self._ready

    def look_again(self, key: str) -> None:
        """Something was not there after all: somebody may have emptied the cache."""
        self._ready.discard(key)

    def prepare(self, key: str, folder: Path, name: str, log: Path) -> None:
        """Begins to make the environment, for function `name`, unless that is under way or has just failed."""
        build = self._builds.setdefault(key, _Build(is_running=False))
        if build.is_running or time.monotonic() < build.retry_at:
            return
        build.is_running = True
        build.needs_packages = (folder / REQUIREMENTS).exists()
        self._builders.submit(self._make, key, folder, Mark(str(self._state.root), name, key), log)

    def problem(self, key: str) -> str:
        """Why the environment is not there yet, in words."""
        build = self._builds.get(key)
        if build is None or self.is_ready(key):
            return ""
        if build.reason:
            return f"cannot install {REQUIREMENTS}: {build.reason}"
        return f"installing {REQUIREMENTS}" if build.needs_packages else "making a Python environment"

    def retry_at(self, key: str) -> float | None:
        build = self._builds.get(key)
        return build.retry_at if build and not build.is_running and build.failures else None

    def retry_now(self, key: str) -> None:
        """Forgets earlier failures."""
        if (build := self._builds.get(key)) and not build.is_running:
            del self._builds[key]

    def mark_used(self, key: str) -> None:
        """Keeps it from being deleted for a while. Raises OSError if it is gone."""
        if key:
            os.utime(self.folder(key) / _COMPLETE)

    def delete_unused(self, in_use: set[str]) -> None:
        """Deletes what is incomplete, and what no function has used for a week."""
        for folder in self._state.venvs.iterdir():
            complete = folder / _COMPLETE
            is_old = complete.exists() and time.time() - complete.stat().st_mtime > _UNUSED_LIMIT
            if not complete.exists() or (is_old and folder.name not in in_use):
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Breaks off what is being made."""
        with self._running_lock:
            self._is_closing = True
            for process in self._running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        self._builders.shutdown(wait=True, cancel_futures=True)

    def _make(self, key: str, folder: Path, mark: Mark, log: Path) -> None:
        """Runs on a thread of its own."""
        try:
            reason = self._run_steps(key, folder, mark, log)
        except OSError as exc:
            reason = str(exc)
        self._post(lambda: self._made(key, reason))

    def _run_steps(self, key: str, folder: Path, mark: Mark, log: Path) -> str:
        """Why it failed; "" if the environment is there."""
        if not folder.is_dir():
            return f"there is no folder {folder}"
        text = _requirements(folder)
        if _digest(text) != key.split("-")[0]:
            return "the file has changed since the function was deployed; deploy it again"
        venv = self.folder(key)
        shutil.rmtree(venv, ignore_errors=True)
        log.write_bytes(b"")
        for step in _steps(venv, bool(text)):
            if problem := self._run(step, folder, mark, log):
                return problem
        (venv / _COMPLETE).touch()
        return ""

    def _run(self, argv: list[str], folder: Path, mark: Mark, log: Path) -> str:
        environment = {**host_environment(), **_passed_on(), MARKER: str(mark)}
        with self._running_lock:
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
            with self._running_lock:
                self._running.discard(process)
        return "" if status == 0 else last_line(log) or f"status {status}"

    def _made(self, key: str, reason: str) -> None:
        build = self._builds[key]
        build.is_running = False
        build.reason = reason
        self._on_change()
        if not reason:
            del self._builds[key]
            return
        build.failures += 1
        wait = self._timing.backoff(build.failures)
        build.retry_at = time.monotonic() + wait
        logger.warning(
            "cannot install the requirements for %s: %s; will try again in %g s",
            key,
            reason,
            wait,
            extra={"event": "requirements_failed"},
        )


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


def _requirements(folder: Path) -> str:
    """The lines that ask for something; "" if there are none."""
    try:
        lines = (folder / REQUIREMENTS).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(line.strip() for line in lines if line.strip() and not line.strip().startswith("#"))


def _names_files(text: str) -> bool:
    """Whether the requirements may refer to files beside them, and so mean something else in another folder."""
    lines = text.splitlines()
    return any(line.startswith("-") or ("/" in line and "://" not in line) or "file:" in line for line in lines)


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _passed_on() -> dict[str, str]:
    """The parts of this process's environment that decide where packages come from."""
    return {
        name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON) or name in _PASSED_ON_NAMES
    }
