"""Building one image on an engine, with its progress shown."""

from __future__ import annotations

import io
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

import docker
import requests
from docker import errors as docker_errors

from stack.build_recipes import Recipe
from stack.errors import StackError
from stack.swarm.engine_api import TransferEntry, api_of
from stack.swarm.engine_client import GONE, explanation

_STEP = re.compile(r"Step (\d+/\d+) : (.*)")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SILENCE = 900
"""Seconds a step may run without a word; the engine itself sets no limit."""

_REPORT_INTERVAL = 5.0
_SHOWN = 15
_WIDTH = 110
NO_BASE = (
    "\nThe base image is neither on this engine nor could it be pulled. SWARMFN_BASE_IMAGE names another one, such as "
    "one that was loaded with `docker load`."
)


class BuildFailed(StackError):
    """An image could not be built; the message ends with the last lines of the build."""


def build(
    client: docker.DockerClient, name: str, recipe: Recipe, labels: Mapping[str, str], say: Callable[[str], None]
) -> None:
    """Builds the image and gives it the name. Raises BuildFailed. An interruption ends the build on the engine too."""
    progress = Progress(name, say)
    try:
        # The classic builder: it needs no plugin, and every engine has it.
        entries = api_of(client).build(
            fileobj=io.BytesIO(recipe.archive()),
            custom_context=True,
            tag=name,
            rm=True,
            forcerm=True,
            decode=True,
            buildargs=dict(recipe.build_args),
            labels=dict(labels),
            timeout=_SILENCE,
        )
        progress.follow(entries)
    except docker_errors.APIError as exc:
        raise progress.failure(explanation(exc)) from exc
    except requests.Timeout as exc:
        raise progress.failure(f"it has sent nothing for {_SILENCE} s") from exc
    except GONE as exc:
        raise progress.failure(f"the Docker Engine is gone: {exc}") from exc


class Progress:
    """Follows what the engine says of a build; from time to time one line shows where it is."""

    def __init__(self, name: str, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._say = say
        self._clock = clock
        self._began = self._reported = clock()
        self._step = self._shown_step = ""
        self._lines: deque[str] = deque(maxlen=_SHOWN)

    def follow(self, entries: Iterable[TransferEntry]) -> None:
        """Until the build has ended. Raises BuildFailed when it fails."""
        error = ""
        # Read to the end even after an error: docker-py closes its connection only then.
        for entry in entries:
            error = error or str(entry.get("error", ""))
            if str(entry.get("status", "")).startswith("Pulling from"):
                pulled = str(entry["status"]).removeprefix("Pulling from ")
                self._say(f"{self._name}: pulling {pulled}:{entry.get('id', 'latest')}")
            for line in str(entry.get("stream", "")).splitlines():
                self._line(_ESCAPES.sub("", line).rstrip())
        if error:
            raise self.failure(error)

    def failure(self, reason: str) -> BuildFailed:
        """What went wrong, in which step, and the last lines before."""
        at = f" at step {self._step}" if self._step else ""
        hint = NO_BASE if "(FROM " in self._step else ""
        lines = "".join(f"\n  | {line}" for line in self._lines)
        return BuildFailed(f"cannot build the image {self._name}{at}: {reason.strip()}{hint}{lines}")

    def _line(self, line: str) -> None:
        if not line:
            return
        self._lines.append(line)
        step = _STEP.match(line)
        if step:
            self._step = f"{step[1]} ({step[2]})"
            self._shown_step = f"step {step[1]}: "
        now = self._clock()
        if now - self._reported >= _REPORT_INTERVAL:
            self._reported = now
            self._report(
                f"still building, {now - self._began:.0f} s: {self._shown_step}{step[2] if step else line.strip()}"
            )

    def _report(self, line: str) -> None:
        self._say(f"{self._name}: {line if len(line) <= _WIDTH else line[: _WIDTH - 1] + '…'}")
