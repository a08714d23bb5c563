"""Virtual environments for functions: one for each set of requirements, shared, made in the background, kept.

A handler runs in one even if it asks for no packages, so that it never sees those of the platform.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from swarmfn.provider.local.decisions import Timing
from swarmfn.provider.local.environment import machine_python
from swarmfn.provider.local.installation import Installer
from swarmfn.provider.local.processes import Mark
from swarmfn.provider.local.requirements import REQUIREMENTS, is_for, requirements
from swarmfn.provider.local.state_dir import StateDir

logger = logging.getLogger(__name__)

# Written last: where it is missing, the folder is what an interrupted build left. (Building elsewhere and renaming
# would break the scripts in bin/, which name their interpreter by its full path.)
_COMPLETE = ".complete"
_BUILDS_AT_ONCE = 4
_UNUSED_LIMIT = 7 * 86400.0


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
        self._installer = Installer()

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
        build.needs_packages = bool(requirements(folder))
        self._builders.submit(self._make, key, folder, Mark(self._state.owner, name, key), log)

    def problem(self, key: str) -> str:
        """Why the environment is not there yet, in words."""
        build = self._builds.get(key)
        if build is None or self.is_ready(key):
            return ""
        if build.reason:
            return f"cannot install {REQUIREMENTS}: {build.reason}"
        return f"installing {REQUIREMENTS}" if build.needs_packages else "making a Python environment"

    def has_failed(self, key: str) -> bool:
        """Whether the last attempt to make the environment failed."""
        build = self._builds.get(key)
        return build is not None and build.failures > 0

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
        self._installer.close()
        self._builders.shutdown(wait=True, cancel_futures=True)

    def _make(self, key: str, folder: Path, mark: Mark, log: Path) -> None:
        """Runs on a thread of its own."""
        try:
            reason = self._install(key, folder, mark, log)
        except OSError as exc:
            reason = str(exc)
        self._post(lambda: self._made(key, reason))

    def _install(self, key: str, folder: Path, mark: Mark, log: Path) -> str:
        """Why it failed; "" if the environment is there."""
        if not folder.is_dir():
            return f"there is no folder {folder}"
        text = requirements(folder)
        if not is_for(key, text):
            return "the file has changed since the function was deployed; deploy it again"
        problem = self._installer.install(self.folder(key), folder, bool(text), mark, log)
        if not problem:
            (self.folder(key) / _COMPLETE).touch()
        return problem

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
