"""A stack's state directory: what lies where, how it is made, and how it is removed.

Credentials and settings for both engines; an embedded stack keeps its queue, functions and logs in it as well.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from stack.errors import StackError
from stack.program import COMMAND
from swarmfn.private_files import write_private

_MARKER = ".swarmfn-state"
_MARKER_TEXT = f"A state directory of swarmfn. `{COMMAND} down --purge` removes all of it.\n"


@dataclass(frozen=True)
class Settings:
    """What one `up` chose and later ones keep.

    management_port: where management is served, 0: at `port`, with the calls. redis_port: of a local stack, 0 while
    none is chosen. The rest is for a Swarm. stack: what its services' names begin with; data_node: the id of the node
    with Redis's data; registry: where images are pushed to, "" for nowhere; is_pinned: everything runs on the node that
    has the images; base_image: what images are built on, "" for the Dockerfiles' own; redis_image: what Redis's data
    was written by; redis_reference, redis_server: that image as the service names it, and the server in it.
    compose_files: absolute paths, none for docker-compose.swarm.yml alone.
    """

    port: int = 8080
    listen_address: str = "127.0.0.1"
    redis_port: int = 0
    stack: str = "swarmfn"
    data_node: str = ""
    registry: str = ""
    is_pinned: bool = False
    base_image: str = ""
    redis_image: str = ""
    management_port: int = 0
    redis_reference: str = ""
    redis_server: str = ""
    compose_files: tuple[str, ...] = ()

    @property
    def managing_port(self) -> int:
        """The port that serves everything."""
        return self.management_port or self.port


def refuse_one_port(settings: Settings) -> None:
    """Raises StackError when calls and management would share a port, since both options name it."""
    if settings.management_port == settings.port:
        raise StackError(
            f"--management-port {settings.port} is the port for calls. Choose another, or 0 to have both on one."
        )


class StateDirectory:
    """Paths below one directory, which belongs to swarmfn and to one user alone."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.credentials = self.root / "credentials"
        self.secrets = self.root / "secrets"
        self.in_force = self.root / "in-force"
        self.redis = self.root / "redis"
        self.logs = self.root / "logs"
        self.run = self.root / "run"
        self._settings = self.root / "settings.json"
        self._marker = self.root / _MARKER

    def log(self, service: str) -> Path:
        """The log file of a service, or of `supervisor`."""
        return self.logs / f"{service}.log"

    def is_unused(self) -> bool:
        """Whether no `up` has come so far here as to choose anything."""
        return not self._settings.exists()

    def exists(self) -> bool:
        """Whether this is a state directory already."""
        return self._marker.is_file()

    def make(self) -> None:
        """Makes it, with everything in it private to the user. Raises StackError for a directory of someone else's."""
        self._refuse_foreign()
        try:
            for directory in (self.root, self.secrets, self.in_force, self.redis, self.logs, self.run):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._marker.write_text(_MARKER_TEXT)
        except OSError as exc:
            raise StackError(f"cannot make the state directory {self.root}: {exc}") from exc

    def purge(self) -> None:
        """Removes all of it; nothing when it is not there. Raises StackError for a directory of someone else's."""
        self._refuse_foreign()
        if self.root.exists():
            shutil.rmtree(self.root)

    def settings(self) -> Settings:
        """The remembered choices; defaults where there are none or the file is damaged. Raises StackError for those of
        a newer release: to go on without what it chose would be another stack."""
        try:
            found = json.loads(self._settings.read_text())
        except (OSError, ValueError):
            return Settings()
        if not isinstance(found, dict):
            return Settings()
        known = _as_json(Settings())
        if unknown := sorted(found.keys() - known.keys()):
            raise StackError(
                f"{self._settings} was written by a newer release: this release does not know {', '.join(unknown)}. "
                "Use that release, or --state-dir for another stack."
            )
        if odd := sorted(name for name, value in found.items() if not _is_like(value, known[name])):
            raise StackError(
                f"{self._settings} has values of a different type than this release writes ({', '.join(odd)}). Use the "
                "release that wrote it, or --state-dir for another stack."
            )
        chosen: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in found.items()
        }
        return replace(Settings(), **chosen)

    def remember(self, settings: Settings) -> None:
        write_private(self._settings, json.dumps(_as_json(settings)) + "\n")

    def _refuse_foreign(self) -> None:
        if self.exists() or not self.root.exists():
            return
        if not self.root.is_dir() or any(self.root.iterdir()):
            raise StackError(
                f"{self.root} exists and is not a state directory of swarmfn. Choose another with --state-dir."
            )


def _as_json(settings: Settings) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(settings).items()}


def _is_like(value: Any, known: Any) -> bool:
    is_list = isinstance(value, list)
    return type(value) is type(known) and (not is_list or all(isinstance(item, str) for item in value))
