"""Which processes are replicas: written down so that the next gateway, or `stop_all`, finds the ones left running."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from swarmfn.private_files import UNFINISHED, write_private
from swarmfn.process_identity import ProcessIdentity
from swarmfn.provider.local.decisions import Phase
from swarmfn.provider.local.state_dir import StateDir

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """One replica that was started. `id` is never used twice; `number` is the lowest that was free in its function."""

    id: str
    name: str
    number: int
    process: ProcessIdentity
    port: int
    revision: str
    venv: str
    drain: float
    phase: Phase

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


class RecordStore:
    """`run/replicas/ID.json`. Not flushed to the disk: no replica survives what would lose them."""

    def __init__(self, state: StateDir) -> None:
        self._folder = state.records

    def load(self) -> list[Record]:
        """Every record. One that cannot be read is deleted, as is what an owner that was killed has left half written;
        its replica is then found by its environment. Only the owner may call it."""
        for part in self._folder.glob(f"*{UNFINISHED}"):
            part.unlink(missing_ok=True)
        records = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                records.append(_decode(path.read_bytes()))
            except (OSError, ValueError, KeyError, TypeError) as exc:
                logger.warning("deleting %s, which cannot be read: %s", path, exc, extra={"event": "record_unreadable"})
                path.unlink(missing_ok=True)
        return records

    def save(self, record: Record) -> None:
        process = {"pid": record.process.pid, "start_time": record.process.start_time, "boot": record.process.boot_id}
        document = {**asdict(record), "process": process, "phase": record.phase.value}
        write_private(self._path(record.id), json.dumps(document), is_durable=False)

    def delete(self, replica_id: str) -> None:
        self._path(replica_id).unlink(missing_ok=True)

    def _path(self, replica_id: str) -> Path:
        return self._folder / f"{replica_id}.json"


def _decode(content: bytes) -> Record:
    document = json.loads(content)
    found = document.pop("process")
    process = ProcessIdentity(found["pid"], found["start_time"], found["boot"])
    phase = Phase(document.pop("phase"))
    return Record(process=process, phase=phase, **document)
