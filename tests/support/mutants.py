"""`./test --mutants [ROOM]`: puts faults into the code, one at a time, and shows which of them no test notices.

usage: ./test --mutants [ROOM] [--seed N] [--count N] [--unit] [--seconds N]

  ROOM         a folder of the code, such as worker or swarmfn/jobs, or one file of it; without it, all rooms in
               proportion
  --seed N     draws other faults; the same seed draws the same ones while the code stays as it is
  --count N    how many (20)
  --unit       only unit tests, which is quicker
  --seconds N  how long the contract tests of one fault take, were there none: the quickest files are run (40)
  --since FILE the output of an earlier run: what was noticed then is not put in again

First the tests run without any fault, to learn which of them reach which statement, wherever it runs: the unit and
contract tests of the room, or of all rooms. That is kept until a file changes. Then each fault is met by the tests that
reach its place, the quickest first, until one fails or takes far too long.

A fault that survives is a question: what would a user see of it, and which test should? Some change nothing that
matters (a pause a second longer); the others want a test. It works on copies of the checkout.
"""

from __future__ import annotations

import argparse
import ast
import collections
import contextlib
import hashlib
import itertools
import json
import os
import pickle
import queue
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.support.reach import MAP, ONLY, RECORD, ROOMS, Probes, Reach, put_probes, reaching

SEED = 41
"""The usual one. Who wants to see other faults takes another."""

SECONDS = 40.0

TESTS = {
    "worker": ("tests/unit/worker", "tests/contract/queue_record"),
    "gateway": ("tests/unit/gateway", "tests/contract/http_api"),
    "fwatchdog": ("tests/unit/fwatchdog", "tests/contract/watchdog"),
    "stack": ("tests/unit/stack", "tests/contract/compose"),
    "swarmfn/jobs": ("tests/unit/jobs", "tests/contract/queue_record"),
    "swarmfn/provider": ("tests/unit/provider", "tests/contract/provider"),
    "swarmfn/upstream": ("tests/unit/upstream", "tests/contract/http_api"),
    "swarmfn/wire": ("tests/unit/wire",),
    "swarmfn/exposition": ("tests/unit/exposition",),
    "": ("tests/unit", "tests/contract"),
}
"""Where a room's tests are, unit tests first; those of all rooms together under the empty name."""

T = TypeVar("T")

_ROOT = Path(__file__).resolve().parents[2]
_COPIES = 2
_PARTS = 8
_TAKEN_AS_LOST = 60.0

_APART = (
    *("unshare", *(("--user", "--map-root-user") if os.geteuid() else ())),
    *("--pid", "--mount-proc", "--fork", "--kill-child", "--", "sh", "-c", '"$@"; exit $?', "sh"),
)
"""Tests run where they see no other process than their own: a fault may kill whatever it finds. None of theirs outlives
them; `sh` waits for those whose parents have ended."""

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

    @property
    def room(self) -> str:
        return self.path.partition("/")[0]

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
    return [mutant for mutant in _places(path, source) if _is_python(mutant.applied(source))]


def _places(path: str, source: bytes) -> list[Mutant]:
    """The same, and a few that are not Python."""
    places = _Places(path, source)
    places.visit(ast.parse(source))
    return places.found


def _is_python(source: bytes) -> bool:
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def folders_of(room: str) -> Sequence[str]:
    """The folders of a room's tests. Raises KeyError for a folder that is not in any room."""
    if room and room.split("/")[0] not in ROOMS:
        raise KeyError(room)
    return TESTS[next(name for name in (room, *map(str, Path(room).parents), "") if name in TESTS)]


def drawn(places: Sequence[Mutant], count: int, seed: int, sources: Mapping[str, str]) -> list[Mutant]:
    """`count` of them, of each room as many as its share of the places."""
    rooms: dict[str, list[Mutant]] = {}
    for place in places:
        rooms.setdefault(place.room, []).append(place)
    exact = {room: min(count, len(places)) * len(found) / len(places) for room, found in rooms.items()}
    shares = {room: int(share) for room, share in exact.items()}
    missing = min(count, len(places)) - sum(shares.values())
    for room in sorted(exact, key=lambda room: (shares[room] - exact[room], room))[:missing]:
        shares[room] += 1
    chosen: list[Mutant] = []
    for room, found in sorted(rooms.items()):
        random.Random(f"{seed} {room}").shuffle(found)
        good = (mutant for mutant in found if _is_python(mutant.applied(sources[mutant.path].encode())))
        chosen += itertools.islice(good, shares[room])
    return chosen


def _listed() -> list[str]:
    """The files of the checkout, with what is not committed yet."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=_ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return sorted(name for name in names if name and (_ROOT / name).is_file())


@contextlib.contextmanager
def _copies() -> Iterator[list[Path]]:
    """Checkouts of their own."""
    with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as folder:
        copies = [Path(folder) / str(number) for number in range(_COPIES)]
        for copy in copies:
            for name in _listed():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(_ROOT / name, copy / name)
        yield copies


def _in_each(copies: Sequence[Path], do: Callable[[T, Path], None], things: Sequence[T]) -> None:
    """Does something with each thing, in whichever copy is free."""
    free: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for copy in copies:
        free.put(copy)

    def with_copy(thing: T) -> None:
        copy = free.get()
        try:
            do(thing, copy)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(copies)) as pool:
        list(pool.map(with_copy, things))


def _pytest(folder: Path, words: Sequence[str], variables: dict[str, str], limit: float | None) -> tuple[int, str]:
    """Its exit code and what it has said. Raises TimeoutExpired."""
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.reach_plugin", "-q", "-n", "0", "--tb=no", *words]
    environment = {**os.environ, **variables, "PYTHONPATH": str(folder)}
    with subprocess.Popen(
        [*_APART, *command], cwd=folder, env=environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            said, _ = process.communicate(timeout=limit)
        finally:
            process.kill()
    return process.returncode, said


def _learnt(tests: Sequence[str]) -> tuple[Probes, Reach]:
    """What the tests reach without any fault: of test files that have changed since it was last asked, from a run of
    them, and of all when something else has."""
    listed = [name for name in _listed() if name.startswith((*ROOMS, "tests/"))]
    all_tests = [name for name in listed if Path(name).name.startswith("test_")]
    files = [name for name in all_tests if name.startswith(tuple(tests))]
    now = {name: _digest([name]) for name in files}
    rest = _digest([name for name in listed if name not in (*all_tests, "tests/support/mutants.py")])
    kept = _ROOT / ".pytest_cache" / "reach.pickle"
    probes, reach, before = Probes(), Reach(), dict[str, str]()
    if kept.exists():
        known = pickle.loads(kept.read_bytes())
        if known[0] == rest:
            _, probes, reach, before = known
    if changed := [name for name in files if before.get(name) != now[name]]:
        print(f"first the tests without any fault: {len(changed)} files", flush=True)
        reach.forget(file for file in before if file in changed or not (_ROOT / file).exists())
        probes = _record(changed, reach)
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(pickle.dumps((rest, probes, reach, before | now)))
    reach.forget(file for file in before if file not in now)
    return probes, reach


def _digest(names: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode() + b"\0" + (_ROOT / name).read_bytes() + b"\0")
    return digest.hexdigest()


def _record(files: Sequence[str], reach: Reach) -> Probes:
    """Runs tests, adding to `reach`."""
    with _copies() as copies:
        maps = {copy: copy.with_suffix(".map") for copy in copies}
        probes = [put_probes(copy, file) for copy, file in maps.items()]

        def run(part: Sequence[str], copy: Path) -> None:
            record = copy.with_suffix(".json")
            _, said = _pytest(copy, ["-m", "not engine", *part], {MAP: str(maps[copy]), RECORD: str(record)}, None)
            for line in said.splitlines():
                if line.startswith(("FAILED", "ERROR")):
                    print(f"without any fault: {line}", flush=True)
            if record.exists():
                reach.add(record)
                record.unlink()

        _in_each(copies, run, [files[part::_PARTS] for part in range(min(_PARTS, len(files)))])
    return probes[0]


class _Trial:
    """Meets faults with tests, in copies of the checkout."""

    def __init__(self, probes: Probes, reach: Reach, sources: dict[str, str], most_seconds: float) -> None:
        self._most_seconds = most_seconds
        self._probes = probes
        self._reach = reach
        self._sources = sources

    def noticed_by(self, mutant: Mutant, folder: Path) -> tuple[str, int]:
        """What noticed it: the first test that failed, or that they did not end; "" when all passed. And how many
        tests there were."""
        path = folder / mutant.path
        source = path.read_bytes()
        # What Python has compiled is told by the second of the source's last change and its size: both may be the same.
        moment = path.stat().st_mtime + 10
        path.write_bytes(mutant.applied(source))
        os.utime(path, (moment, moment))
        try:
            return self._run(folder, self._tests(mutant))
        finally:
            path.write_bytes(source)
            os.utime(path, (moment + 10, moment + 10))

    def _tests(self, mutant: Mutant) -> dict[str, float]:
        """Those that reach the place, with their seconds: by file, unit tests and quick files first."""
        reach = self._reach
        found = reaching(mutant.path, mutant.line, self._probes, reach, self._sources)
        files: dict[str, list[str]] = {}
        for test in sorted(found, key=reach.seconds.__getitem__):
            if reach.seconds[test] > self._most_seconds / 8:
                break
            files.setdefault(test.partition("::")[0], []).append(test)
        took = {file: sum(reach.seconds[test] for test in tests) for file, tests in files.items()}
        order = sorted(files, key=lambda file: (file.startswith("tests/contract/"), took[file] / len(files[file])))
        # What every test reaches would take all of their time: then it is unit tests, and those contract tests of the
        # room's own that are quickest. By whole files, whose servers start once.
        own = [file for file in order if file.startswith(tuple(folders_of(mutant.path)[1:]))]
        slow = own or [file for file in order if not file.startswith("tests/unit/")]
        spent = itertools.accumulate((took[file] for file in slow), initial=0.0)
        kept = {file for file, before in zip(slow, spent, strict=False) if before < self._most_seconds}
        chosen = [file for file in order if file in kept or file.startswith("tests/unit/")]
        return {test: reach.seconds[test] for file in chosen for test in files[file]}

    def _run(self, folder: Path, tests: dict[str, float]) -> tuple[str, int]:
        """Unit tests by themselves first: most faults are noticed there, and the others' files take time to read."""
        for are_unit in (True, False):
            part = {test: took for test, took in tests.items() if test.startswith("tests/unit/") is are_unit}
            while part and (noticed := self._failed(folder, part)):
                # A test that only fails while much else runs has noticed nothing.
                if noticed not in part or self._failed(folder, {noticed: part.pop(noticed)}):
                    return noticed, len(tests)
        return "", len(tests)

    def _failed(self, folder: Path, tests: dict[str, float]) -> str:
        """The first that failed; else how their run ended, and "" when all passed."""
        only = folder.with_suffix(".only")
        only.write_text(json.dumps(tests))
        limit = _TAKEN_AS_LOST + 3 * sum(tests.values())
        files = dict.fromkeys(test.partition("::")[0] for test in tests)
        try:
            code, said = _pytest(folder, ["-x", *files], {ONLY: str(only)}, limit)
        except subprocess.TimeoutExpired:
            return f"no end within {limit:.0f} s"
        if code == 0:
            return ""
        lines = [line.partition(" ")[2] for line in said.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        ending = lines[0] if lines else f"status {code}: {' '.join(said.splitlines()[-1:])}"
        return next((test for test in tests if ending == test or ending.startswith(f"{test} - ")), ending)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./test --mutants", usage="%(prog)s [ROOM] [options]")
    parser.add_argument("room", nargs="?", default="")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--unit", action="store_true")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--since", type=Path)
    options = parser.parse_args(arguments)
    room = options.room.rstrip("/")
    try:
        tests = folders_of(room)[: 1 if options.unit else None]
    except KeyError:
        parser.error(f"{room} is not a room: take one of {', '.join(filter(None, TESTS))}, or something in it")
    if not (_ROOT / room).exists():
        parser.error(f"there is no {room}")
    if subprocess.run([*_APART, "true"], check=False).returncode:
        print("cannot run tests apart from this machine's other processes, which a fault may kill", file=sys.stderr)
        return 1
    probes, reach = _learnt(tests)
    names = [name for name in _listed() if name.endswith(".py") and name.startswith((*ROOMS, "tests/"))]
    sources = {name: (_ROOT / name).read_text() for name in names}
    own = [name for name in names if name.startswith(f"{room}/" if room and not room.endswith(".py") else room)]
    places = [
        mutant for name in own if not name.startswith("tests/") for mutant in _places(name, sources[name].encode())
    ]
    chosen = drawn(places, options.count, options.seed, sources)
    print(f"{room or 'all rooms'}: {len(places)} faults can be put in, {len(chosen)} of them are", flush=True)
    before = options.since.read_text() if options.since else ""
    left = [mutant for mutant in chosen if not _was_noticed(mutant, sources[mutant.path].encode(), before)]
    survivors = _survivors(left, _Trial(probes, reach, sources, options.seconds), sources)
    _show_table(places, chosen, survivors, options.seed)
    return 0


def _was_noticed(mutant: Mutant, source: bytes, before: str) -> bool:
    shown = re.escape(mutant.shown(source))
    return re.search(rf"^noticed +{re.escape(mutant.path)}:\d+ .*\n{shown}$", before, re.MULTILINE) is not None


def _survivors(chosen: Sequence[Mutant], trial: _Trial, sources: dict[str, str]) -> list[Mutant]:
    """Those that the tests have passed with."""
    found = []

    def meet(mutant: Mutant, copy: Path) -> None:
        noticed, count = trial.noticed_by(mutant, copy)
        if not noticed:
            found.append(mutant)
        by = noticed or f"by {count} tests that reach it"
        shown = mutant.shown(sources[mutant.path].encode())
        print(f"{'noticed ' if noticed else 'SURVIVED'} {mutant.path}:{mutant.line}  {by}\n{shown}", flush=True)

    with _copies() as copies:
        _in_each(copies, meet, chosen)
    return found


def _show_table(places: Sequence[Mutant], chosen: Sequence[Mutant], survivors: Sequence[Mutant], seed: int) -> None:
    there, put_in, left = (
        collections.Counter(mutant.room for mutant in found) for found in (places, chosen, survivors)
    )
    print(f"\n{'seed ' + str(seed):12}{'places':>8}{'put in':>8}{'noticed':>9}{'survived':>10}")
    for room in sorted(put_in):
        share = (put_in[room] - left[room]) / put_in[room]
        print(f"{room:12}{there[room]:8}{put_in[room]:8}{share:9.0%}{left[room]:10}")
    share = (len(chosen) - len(survivors)) / max(1, len(chosen))
    print(f"{'all':12}{len(places):8}{len(chosen):8}{share:9.0%}{len(survivors):10}")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
