"""What runs, on disk: one file a service, so that a new supervisor finds the processes that an old one left."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from stack.embedded.spec import ServiceSpec
from stack.state import StateDirectory
from swarmfn.private_files import write_private
from swarmfn.process_identity import ProcessIdentity


class Records:
    """Files in `directory`, written before a service's program begins: no process is ever without its record.
    Not flushed to the disk: no process survives what would lose them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def write(self, spec: ServiceSpec, process: ProcessIdentity) -> None:
        document = {"spec": spec.to_json(), "process": asdict(process)}
        write_private(self._path(spec.name), json.dumps(document), is_durable=False)

    def remove(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def running(self) -> list[tuple[ServiceSpec, ProcessIdentity]]:
        """The recorded processes that still run. Records of others, stale or damaged, are removed."""
        found = []
        for path in sorted(self._directory.glob("*.json")):
            try:
                document = json.loads(path.read_text())
                spec = ServiceSpec.from_json(document["spec"])
                process = ProcessIdentity(**document["process"])
            except (OSError, ValueError, KeyError, TypeError):
                path.unlink(missing_ok=True)
                continue
            if process.is_alive():
                found.append((spec, process))
            else:
                path.unlink(missing_ok=True)
        return found

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"


def runs_locally(state: StateDirectory) -> bool:
    """Whether services of this state directory run as local processes."""
    return state.exists() and (state.run / "services").is_dir() and bool(Records(state.run / "services").running())
