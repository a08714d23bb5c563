"""The command's side of the supervisor: started when missing, replaced when its code is old, asked to do things."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack.embedded.code import code_fingerprint
from stack.embedded.control import SupervisorGone, ask
from stack.embedded.log_files import last_lines
from stack.embedded.spec import ServiceSpec
from stack.errors import StackError
from stack.state import StateDirectory
from swarmfn.process_identity import identify

_SUPERVISOR = ("stack.embedded", "swarmfn.backoff", "swarmfn.private_files", "swarmfn.process_identity")
"""What a supervisor is made of: one with other code is replaced."""

_START_TIMEOUT = 20.0
_SLACK = 15.0


@dataclass(frozen=True)
class ServiceState:
    """A service as the supervisor sees it. `state`: running, waiting (to be started again) or stopping."""

    name: str
    state: str
    pid: int | None
    since: float
    restarts: int
    last_end: str
    fingerprint: str


class SupervisorClient:
    """Requests to the supervisor of one state directory. Each raises StackError when it is gone or refuses."""

    def __init__(self, state: StateDirectory, root: Path) -> None:
        self._state = state
        self._root = root
        self._code = code_fingerprint(root, *_SUPERVISOR)

    def pid(self) -> int | None:
        """The supervisor's pid, or None when there is none."""
        try:
            return int(ask(self._state.run, {"command": "status"})["pid"])
        except SupervisorGone:
            return None

    def ensure(self) -> None:
        """A supervisor with today's code runs. It adopts the services that an earlier one left running."""
        try:
            if ask(self._state.run, {"command": "status"})["code"] == self._code:
                return
            self._end({"command": "leave"})
        except SupervisorGone:
            pass
        self._launch()
        self._wait_until(lambda: self.pid() is not None, "start")

    def services(self) -> dict[str, ServiceState]:
        """What it supervises, by name, in the order of starting."""
        answer = self._request({"command": "status"})
        return {entry["name"]: ServiceState(**entry) for entry in answer["services"]}

    def apply(self, spec: ServiceSpec) -> None:
        """Starts the service, or replaces one that differs; returns once the process is there."""
        self._request({"command": "apply", "spec": spec.to_json()}, timeout=spec.stop_timeout + _SLACK)

    def stop(self, name: str, timeout: float) -> None:
        """Stops the service and forgets it; returns once its process is gone. `timeout` is its stop_timeout."""
        self._request({"command": "stop", "name": name}, timeout=timeout + _SLACK)

    def shutdown(self, timeout: float) -> None:
        """Stops what is left, then the supervisor; returns once it is gone."""
        self._end({"command": "shutdown"}, timeout=timeout + _SLACK)

    def _end(self, request: dict[str, Any], timeout: float = 10.0) -> None:
        """Returns when the process has ended: it listens no longer some time before, but holds its lock until then."""
        process = identify(self._request({"command": "status"})["pid"])
        self._request(request, timeout)
        self._wait_until(lambda: process is None or not process.is_alive(), "end")

    def _request(self, request: dict[str, Any], timeout: float = 10.0) -> dict[str, Any]:
        try:
            answer = ask(self._state.run, request, timeout)
        except SupervisorGone as exc:
            raise StackError(f"the supervisor does not answer: {exc}. See {self._state.log('supervisor')}.") from exc
        if "error" in answer:
            raise StackError(f"the supervisor refuses {request['command']!r}: {answer['error']}.")
        return answer

    def _launch(self) -> None:
        command = [sys.executable, "-P", "-m", "stack.embedded", str(self._state.root), self._code]
        with self._state.log("supervisor").open("ab") as log:
            # The process detaches itself at once; what ends here is only its parent half.
            subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False,
                cwd=self._state.root, start_new_session=True, env=_environment(self._root), timeout=_START_TIMEOUT,
            )  # fmt: skip

    def _wait_until(self, is_so: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while not is_so():
            if time.monotonic() > deadline:
                said = "\n".join(last_lines(self._state.log("supervisor"), 10))
                raise StackError(f"the supervisor did not {what}. Its log ends with:\n{said}")
            time.sleep(0.02)


def _environment(root: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(root)}
