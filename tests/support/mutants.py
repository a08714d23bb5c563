"""`./test --mutants ROOM`: puts faults into a room's code, one at a time, and shows which of them no test notices.

usage: ./test --mutants ROOM [--seed N] [--count N] [--unit]

  ROOM         a folder of the code, such as worker or swarmfn/jobs, or one file of it
  --seed N     draws other faults; the same seed draws the same ones while the code stays as it is
  --count N    how many (20)
  --unit       only the room's unit tests, which is quicker

A fault that survives is a question: what would a user see of it, and which test should? Some change nothing that
matters (a pause a second longer); the others want a test. It works on a copy of the checkout.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SEED = 41
"""The usual one. Who wants to see other faults takes another."""

TESTS = {
    "worker": (
        "tests/unit/worker",
        "tests/contract/queue_record/test_announcements.py",
        "tests/contract/queue_record/test_presence.py",
    ),
    "gateway": ("tests/unit/gateway", "tests/contract/http_api"),
    "fwatchdog": ("tests/unit/fwatchdog", "tests/contract/watchdog"),
    "stack": ("tests/unit/stack", "tests/contract/compose"),
    "swarmfn/jobs": ("tests/unit/jobs", "tests/contract/queue_record"),
    "swarmfn/provider": ("tests/unit/provider", "tests/contract/provider"),
    "swarmfn/upstream": ("tests/unit/upstream",),
    "swarmfn/wire": ("tests/unit/wire",),
    "swarmfn/exposition": ("tests/unit/exposition",),
}
"""Where a room's tests are, the quick ones first."""

_ROOT = Path(__file__).resolve().parents[2]
_GRACE = 20.0
_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.Lt: ast.GtE,
    ast.Gt: ast.LtE,
    ast.Is: ast.IsNot,
    ast.In: ast.NotIn,
}
_OPPOSITE |= {other: one for one, other in _OPPOSITE.items()}


@dataclass(frozen=True)
class Mutant:
    """One fault: other text at one place of a file, which `start` and `end` give in bytes."""

    path: str
    line: int
    start: int
    end: int
    text: str

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.text.encode() + source[self.end :]

    def shown(self, source: bytes) -> str:
        """The line before and after."""
        before, after = (text.splitlines()[self.line - 1].decode() for text in (source, self.applied(source)))
        return f"  - {before.strip()}\n  + {after.strip()}"


class _Places(ast.NodeVisitor):
    """Collects what can be changed in one file. Annotations, docstrings and what is logged are left alone."""

    def __init__(self, path: str, source: bytes) -> None:
        self.found: list[Mutant] = []
        self._path = path
        lines = source.splitlines(keepends=True)
        self._starts = [sum(map(len, lines[:number])) for number in range(len(lines) + 1)]

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt | ast.expr):
            self._note(node)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_params"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not _is_left_alone(child):
                    self.visit(child)

    def _note(self, node: ast.stmt | ast.expr) -> None:
        for text in _others(node):
            start = self._starts[node.lineno - 1] + node.col_offset
            end = self._starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
            self.found.append(Mutant(self._path, node.lineno, start, end, text))


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.keyword) and node.arg == "strict":
        return True  # zip's: nothing but a fault of ours makes the lengths differ
    if not isinstance(node, ast.Expr):
        return isinstance(node, ast.JoinedStr)
    called = node.value.func if isinstance(node.value, ast.Call) else node.value
    is_logged = isinstance(called, ast.Attribute) and ast.unparse(called.value) in ("logger", "log", "logging")
    return is_logged or isinstance(node.value, ast.Constant)


def _others(node: ast.stmt | ast.expr) -> list[str]:
    """What may stand in place of a node."""
    match node:
        case ast.Compare(left=left, ops=[op, *ops], comparators=comparators):
            return [f"({ast.unparse(ast.Compare(left, [_OPPOSITE[type(op)](), *ops], comparators))})"]
        case ast.BoolOp(op=joint, values=values):
            other = ast.Or() if isinstance(joint, ast.And) else ast.And()
            return [f"({ast.unparse(ast.BoolOp(other, values))})"]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return [f"({ast.unparse(operand)})"]
        case ast.Constant(value=bool(value)):
            return [str(not value)]
        case ast.Constant(value=int(value)):
            return [str(value + 1), f"({value - 1})"]
        case ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break() | ast.Delete():
            return ["pass"]
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            return ["pass"]
    return []


def mutants_of(path: str, source: bytes) -> list[Mutant]:
    """Every fault that can be put into a file."""
    places = _Places(path, source)
    places.visit(ast.parse(source))
    return [mutant for mutant in places.found if _is_python(mutant.applied(source))]


def _is_python(source: bytes) -> bool:
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def folders_of(room: str) -> Sequence[str]:
    """The folders of a room's tests. Raises KeyError for a folder that is not in any room."""
    name = next(name for name in (room, *map(str, Path(room).parents), "") if name in TESTS or not name)
    return TESTS[name]


@contextlib.contextmanager
def _copy() -> Iterator[Path]:
    """A checkout of its own, with what is not committed yet."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=_ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as folder:
        for name in names:
            if name and (_ROOT / name).is_file():
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(_ROOT / name, Path(folder) / name)
        yield Path(folder)


def _run(folder: Path, tests: Sequence[str], limit: float) -> str:
    """What noticed a fault: the first test that failed, or that they did not end in time; "" when all passed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-m", "not engine", "--tb=no", *tests]
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            said, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # so that fixtures end what they have started
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=_GRACE)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return f"no end within {limit:.0f} s"
    if process.returncode == 0:
        return ""
    marks = ("FAILED ", "ERROR ")
    lines = [line for line in said.splitlines() if line.startswith(marks)] or said.splitlines()[-1:]
    return lines[0].partition(" - ")[0].removeprefix(marks[0]) if lines else f"status {process.returncode}"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./test --mutants", usage="%(prog)s ROOM [--seed N] [--count N] [--unit]")
    parser.add_argument("room")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--unit", action="store_true")
    options = parser.parse_args(arguments)
    room = options.room.rstrip("/")
    try:
        tests = folders_of(room)[: 1 if options.unit else None]
    except KeyError:
        parser.error(f"{room} is not a room: take one of {', '.join(TESTS)}, or something in it")
    if not (_ROOT / room).exists():
        parser.error(f"there is no {room}")
    with _copy() as folder:
        files = [folder / room] if room.endswith(".py") else sorted((folder / room).rglob("*.py"))
        sources = {str(path.relative_to(folder)): path.read_bytes() for path in files}
        places = [mutant for path, source in sources.items() for mutant in mutants_of(path, source)]
        print(f"{room}: {len(places)} faults can be put in. First its tests without any: {' '.join(tests)}", flush=True)
        began = time.monotonic()
        if problem := _run(folder, tests, 3600):
            print(f"they fail without any fault: {problem}")
            return 1
        limit = 10 + 3 * (time.monotonic() - began)
        drawn = random.Random(options.seed).sample(places, min(options.count, len(places)))
        survivors = sum(_survives(folder, mutant, sources[mutant.path], tests, limit) for mutant in drawn)
    share = (len(drawn) - survivors) / max(1, len(drawn))
    print(f"{room}: {len(drawn) - survivors} of {len(drawn)} faults were noticed ({share:.0%}), seed {options.seed}")
    return 0


def _survives(folder: Path, mutant: Mutant, source: bytes, tests: Sequence[str], limit: float) -> bool:
    """Whether the tests pass with this fault."""
    path = folder / mutant.path
    # What Python has compiled is told by the second of the source's last change and its size: both may be the same.
    moment = path.stat().st_mtime + 10
    path.write_bytes(mutant.applied(source))
    os.utime(path, (moment, moment))
    try:
        noticed = _run(folder, tests, limit)
    finally:
        path.write_bytes(source)
        os.utime(path, (moment + 10, moment + 10))
    print(f"{'noticed ' if noticed else 'SURVIVED'} {mutant.path}:{mutant.line}  {noticed}", flush=True)
    print(mutant.shown(source), flush=True)
    return not noticed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
