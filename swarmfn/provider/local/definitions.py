"""The functions that were deployed, one file each, so that they outlive every process."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from swarmfn.private_files import sync_folder, write_private
from swarmfn.provider.local.function_programs import Program
from swarmfn.provider.local.state_dir import StateDir
from swarmfn.wire.errors import EngineUnavailable, FaasError
from swarmfn.wire.functions import FunctionSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Definition:
    """One function as it is wanted, without the password of its registry: nothing is pulled on this machine.

    `revision` differs when its replicas would run differently.
    """

    function: FunctionSpec
    program: Program
    replicas: int
    created_at: str

    @classmethod
    def new(cls, function: FunctionSpec, program: Program) -> Definition:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return cls(function.without_credentials(), program, function.initial_replicas, now)

    @cached_property
    def revision(self) -> str:
        return self.program.revision(self.function)

    def updated(self, function: FunctionSpec, program: Program) -> Definition:
        return replace(self, function=function.without_credentials(), program=program)


class DefinitionStore:
    """Reads and writes `functions/NAME/spec.json`. What `save` or `delete` returned from survives a power cut."""

    def __init__(self, state: StateDir) -> None:
        self._folder = state.functions

    def load(self) -> dict[str, Definition]:
        """Every definition by name. One that cannot be read is left out, and logged.

        Files of earlier versions may hold a registry's password; they are written again without it.
        """
        definitions = {}
        for path in sorted(self._folder.glob("*/spec.json")):
            try:
                stored = _decode(path.read_bytes())
                definitions[path.parent.name] = replace(stored, function=stored.function.without_credentials())
                if stored.function.registry_auth:
                    self.save(definitions[path.parent.name])
            except (OSError, ValueError, KeyError, TypeError, FaasError) as exc:
                logger.error(
                    "the function in %s cannot be read and stays stopped until it is deployed again: %s",
                    path,
                    exc,
                    extra={"event": "definition_unreadable"},
                )
        return definitions

    def leftovers(self) -> set[str]:
        """Names of functions that are no longer defined and were not cleaned up after."""
        return {path.name for path in self._folder.iterdir() if path.is_dir() and not (path / "spec.json").exists()}

    def save(self, definition: Definition) -> None:
        path = self._path(definition.function.name)
        try:
            if not path.parent.is_dir():
                path.parent.mkdir(mode=0o700)
                sync_folder(self._folder)
            write_private(path, _encode(definition))
        except OSError as exc:
            raise EngineUnavailable(f"cannot store the function in {path}: {exc.strerror}.") from exc

    def delete(self, name: str) -> None:
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
            sync_folder(path.parent)
        except OSError as exc:
            raise EngineUnavailable(f"cannot delete {path}: {exc.strerror}.") from exc

    def clean(self, name: str) -> None:
        """Deletes what a function without replicas left behind, if it is no longer defined."""
        if not self._path(name).exists():
            shutil.rmtree(self._path(name).parent, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self._folder / name / "spec.json"


def _encode(definition: Definition) -> bytes:
    document = {
        "function": definition.function.to_json(),
        "replicas": definition.replicas,
        "createdAt": definition.created_at,
        "program": definition.program.to_json(),
    }
    return json.dumps(document, indent=2, sort_keys=True).encode()


def _decode(content: bytes) -> Definition:
    document = json.loads(content)
    return Definition(
        FunctionSpec.from_json(document["function"]),
        Program.from_json(document["program"]),
        int(document["replicas"]),
        str(document["createdAt"]),
    )
