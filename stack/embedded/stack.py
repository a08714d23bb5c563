"""The commands on the embedded engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stack.credentials import make_credentials
from stack.embedded.engine import EmbeddedEngine
from stack.embedded.log_view import follow, log_files, show
from stack.embedded.observe import observe
from stack.embedded.services import reachable
from stack.engine import Outcome
from stack.errors import StackError
from stack.examples import deploy_examples
from stack.function_files import load_functions
from stack.gateway_client import GatewayClient
from stack.lock import exclusive
from stack.options import LogsOptions, PrepareOptions, UpOptions
from stack.posture import read_posture
from stack.state import StateDirectory
from stack.status import Status


class LocalStack:
    """A `stack.engine.Stack` of local processes."""

    def __init__(self, state: StateDirectory, root: Path, say: Callable[[str], None]) -> None:
        self._state = state
        self._root = root
        self._say = say

    def up(self, options: UpOptions) -> Outcome:
        self._state.make()
        with exclusive(self._state.run / "command.lock", "up", self._say):
            has_changed = self._start(options)
            deployed, problems = self._deploy_examples() if options.has_examples else (False, {})
        settings = self._state.settings()
        managed_at = reachable(settings, settings.managing_port)
        warnings = read_posture(managed_at, make_credentials(self._state)).warnings
        urls = (f"http://{reachable(settings)}", f"http://{managed_at}")
        return Outcome(has_changed or deployed, *urls, warnings, problems)

    def _start(self, options: UpOptions) -> bool:
        """Whether that changed anything. A first start that fails leaves nothing."""
        is_first = self._state.is_unused()
        try:
            return EmbeddedEngine(self._state, self._root, self._say).up(options)
        except StackError:
            if is_first:
                self._state.purge()
            raise

    def prepare(self, options: PrepareOptions) -> str:
        raise StackError("there is nothing to prepare for local processes; `prepare` is for Docker Swarm.")

    def down(self, purge: bool) -> str:
        if not self._state.exists():
            if purge:
                self._state.purge()
            return f"nothing to do: there is no stack in {self._state.root}"
        self._state.make()
        with exclusive(self._state.run / "command.lock", "down", self._say):
            EmbeddedEngine(self._state, self._root, self._say).stop()
            if purge:
                self._state.purge()
        return (
            "stopped; the state directory is removed" if purge else f"stopped; everything is kept in {self._state.root}"
        )

    def status(self) -> Status:
        return observe(self._state, self._root)

    def logs(self, options: LogsOptions, write: Callable[[str], None]) -> None:
        files = log_files(self._state, options.name)
        show(files, options.lines, write)
        if options.is_following:
            follow(lambda: self._logs_now(options.name, files), write)

    def _logs_now(self, name: str | None, otherwise: Sequence[Path]) -> Sequence[Path]:
        """Replicas come and go; in between there may be none."""
        try:
            return log_files(self._state, name)
        except StackError:
            return otherwise

    def close(self) -> None:
        """Nothing is open."""

    def _deploy_examples(self) -> tuple[bool, dict[str, str]]:
        settings, credentials = self._state.settings(), make_credentials(self._state)
        functions = load_functions(self._root / "examples" / "stack.yml")
        with GatewayClient(reachable(settings, settings.managing_port), credentials) as gateway:
            return deploy_examples(gateway, functions, self._say)
