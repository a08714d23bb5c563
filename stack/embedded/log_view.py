"""What `logs` prints: the last lines of log files, and then the new ones as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from stack.embedded.log_files import last_lines
from stack.errors import StackError
from stack.state import StateDirectory
from swarmfn.wire.visible import visible

_POLL = 0.2


def log_files(state: StateDirectory, name: str | None) -> list[Path]:
    """The logs of a service, of the supervisor or of a function; of every service without a name.

    Raises StackError, which lists the names there are.
    """
    services = sorted(state.logs.glob("*.log"))
    if name is None:
        if not services:
            raise StackError(f"there are no logs in {state.logs}: nothing was started there yet.")
        return services
    found = [path for path in services if path.stem == name or path.stem.startswith(f"{name}.")]
    found = found or sorted((state.logs / "functions").glob(f"{name}.*.log"))
    if not found:
        names = {path.stem for path in services} | {path.name.split(".")[0] for path in _function_logs(state)}
        raise StackError(f'there is no log of "{name}". There are: {", ".join(sorted(names)) or "none yet"}.')
    return found


def show(files: Sequence[Path], count: int, write: Callable[[str], None]) -> None:
    """Writes the last `count` lines of each file; with several files each line begins with its file's name."""
    for path in files:
        for line in last_lines(path, count):
            write(_labelled(path, line, files))


def follow(find: Callable[[], Sequence[Path]], write: Callable[[str], None]) -> None:
    """Writes new lines for ever: from the ends that the files have now, and all of those that `find` finds later."""
    readers = {path: new_lines(path, path.stat().st_size if path.exists() else 0) for path in find()}
    while True:
        for path in find():
            readers.setdefault(path, new_lines(path, 0))
        for path, lines in readers.items():
            while (line := next(lines)) is not None:
                write(_labelled(path, line, list(readers)))
        time.sleep(_POLL)


def new_lines(path: Path, position: int) -> Iterator[str | None]:
    """Complete lines from `position` on; None when there is none at the moment. Starts again in a file that was
    emptied."""
    while True:
        try:
            if path.stat().st_size < position:
                position = 0
            with path.open("rb") as file:
                file.seek(position)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    position += len(line)
                    yield line.decode(errors="replace").rstrip("\n")
        except FileNotFoundError:
            position = 0
        yield None


def _labelled(path: Path, line: str, files: Sequence[Path]) -> str:
    return visible(line if len(files) == 1 else f"{path.stem:<10} | {line}")


def _function_logs(state: StateDirectory) -> list[Path]:
    return list((state.logs / "functions").glob("*.log"))
