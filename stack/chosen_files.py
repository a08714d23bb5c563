"""Which compose files describe the stack: those of this run, else those of the last one, else our own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stack.errors import StackError

COMPOSE_FILE = "docker-compose.swarm.yml"


def choose_files(
    asked: Sequence[Path], remembered: Sequence[str], root: Path, say: Callable[[str], None]
) -> tuple[str, ...]:
    """The files to remember, none for our own in `root` alone. Says which these are when they are others, and what
    is left out that was there before. Raises StackError when an earlier one is gone: without it, what it adds would be
    undone in silence."""
    chosen = _other_than_ours(asked, root) if asked else tuple(remembered)
    way_back = f"-f {root / COMPOSE_FILE} alone undoes it"
    if gone := [] if asked else [name for name in chosen if not Path(name).is_file()]:
        raise StackError(
            f"{', '.join(gone)}: is gone, and was among the compose files (-f) of the last up. Put it back, or name "
            f"others with -f; {way_back}."
        )
    files = files_of(chosen, root)
    if left_out := [name for name in remembered if Path(name) not in files]:
        say(f"compose files: what {', '.join(left_out)} said is undone; now {_listed(files)}")
    elif chosen:
        as_before = "" if asked else f", as in the last up ({way_back})"
        say(f"compose files: {_listed(files)}{as_before}")
    return chosen


def files_of(chosen: Sequence[str], root: Path) -> tuple[Path, ...]:
    """The files in the order in which they are merged."""
    return tuple(Path(name) for name in chosen) or (root / COMPOSE_FILE,)


def _other_than_ours(asked: Sequence[Path], root: Path) -> tuple[str, ...]:
    if [file.resolve() for file in asked] == [(root / COMPOSE_FILE).resolve()]:
        return ()
    return tuple(str(file) for file in asked)


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(map(str, files))
