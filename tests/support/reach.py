"""Which tests reach which statement of the code, in whatever process: the programs that tests start included.

Every statement inside a function is given a probe, which sets its byte of a file that all processes share. Between
the phases of a test the bytes are read and cleared (`reach_plugin`). That is exact where it matters, quick, and needs
nothing that the processes do not have.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOMS = ("gateway", "worker", "swarmfn", "fwatchdog", "stack")

MAP = "REACH_MAP"
RECORD = "REACH_RECORD"
ONLY = "REACH_ONLY"
"""Variables that tell the plugin of pytest: the shared file, where to write what was reached, which tests to run."""

_HEADER = """
def _probe_():
    import mmap, sys
    if not hasattr(sys, "_probes"):
        try:
            with open({path!r}, "r+b") as file:
                sys._probes = mmap.mmap(file.fileno(), 0)
        except OSError:
            sys._probes = bytearray({size})
    return sys._probes
_probe_ = _probe_()
"""


@dataclass(frozen=True)
class Span:
    """The lines of a statement in a function, and its probe."""

    first: int
    last: int
    probe: int


@dataclass
class Probes:
    """The probes of all files, numbered from 0."""

    spans: dict[str, list[Span]] = field(default_factory=dict)
    count: int = 0

    def put_into(self, path: str, source: str) -> ast.Module:
        """The file's code with a probe before every statement of its functions."""
        tree = ast.parse(source)
        self.spans[path] = []
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                heading = Span(node.lineno, node.body[0].lineno - 1, self.count)
                node.body = self._block(path, node.body)
                self.spans[path].append(heading)
        return tree

    def _block(self, path: str, statements: list[ast.stmt]) -> list[ast.stmt]:
        done: list[ast.stmt] = []
        for number, statement in enumerate(statements):
            is_docstring = number == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if not is_docstring or len(statements) == 1:
                self.spans[path].append(Span(statement.lineno, statement.end_lineno or statement.lineno, self.count))
                done.append(ast.parse(f"_probe_[{self.count}] = 1").body[0])
                self.count += 1
            done.append(statement)
            # Functions inside are met by the walk.
            if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self._inner(path, statement)
        return done

    def _inner(self, path: str, statement: ast.AST) -> None:
        for name in ("body", "orelse", "finalbody"):
            if block := getattr(statement, name, None):
                setattr(statement, name, self._block(path, block))
        for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            self._inner(path, part)

    def at(self, path: str, line: int) -> int | None:
        """The probe of the innermost statement on a line; None outside of functions."""
        around = [span for span in self.spans[path] if span.first <= line <= span.last]
        return min(around, key=lambda span: (span.last - span.first, -span.first)).probe if around else None


def put_probes(folder: Path, shared: Path) -> Probes:
    """Puts probes into the rooms' code in a copy of the checkout, and makes the file that they set bytes of."""
    probes = Probes()
    files = [path for room in ROOMS for path in sorted((folder / room).rglob("*.py"))]
    trees = {path: probes.put_into(str(path.relative_to(folder)), path.read_text()) for path in files}
    for path, tree in trees.items():
        header = ast.parse(_HEADER.format(path=str(shared), size=probes.count)).body
        first = next((n for n, node in enumerate(tree.body) if not _comes_first(node)), len(tree.body))
        tree.body[first:first] = header
        path.write_text(ast.unparse(ast.fix_missing_locations(tree)) + "\n")
    shared.write_bytes(bytes(probes.count))
    return probes


def _comes_first(node: ast.stmt) -> bool:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_text or (isinstance(node, ast.ImportFrom) and node.module == "__future__")


@dataclass
class Reach:
    """What a run of tests has reached. Tests that failed are not in it."""

    seconds: dict[str, float] = field(default_factory=dict)
    probes: dict[str, set[int]] = field(default_factory=dict)
    """Those of each test's own call."""
    fixtures: dict[str, set[int]] = field(default_factory=dict)
    """Those of each file's fixtures, which may serve several of its tests."""
    imports: set[int] = field(default_factory=set)

    def add(self, record: Path) -> None:
        """Takes in what the plugin has written."""
        found = json.loads(record.read_text())
        self.seconds |= found["seconds"]
        self.probes |= {name: set(probes) for name, probes in found["probes"].items()}
        self.fixtures |= {name: set(probes) for name, probes in found["fixtures"].items()}
        self.imports |= set(found["imports"])

    def forget(self, files: Iterable[str]) -> None:
        """Leaves out the tests of these files."""
        gone = set(files)
        self.seconds = {test: took for test, took in self.seconds.items() if test.partition("::")[0] not in gone}
        self.probes = {test: reached for test, reached in self.probes.items() if test.partition("::")[0] not in gone}
        self.fixtures = {file: reached for file, reached in self.fixtures.items() if file not in gone}

    def tests(self, probes: Iterable[int]) -> set[str]:
        """The tests that reach one of them."""
        wanted = set(probes)
        files = {file for file, reached in self.fixtures.items() if not wanted.isdisjoint(reached)}
        return {
            test
            for test, reached in self.probes.items()
            if test.partition("::")[0] in files or not wanted.isdisjoint(reached)
        }


def reaching(path: str, line: int, probes: Probes, reach: Reach, sources: Mapping[str, str]) -> set[str]:
    """The tests that can notice a fault on a line.

    What is outside of functions happens when the module is imported: that is noticed where its name is used.
    """
    probe = probes.at(path, line)
    if probe is not None and probe not in reach.imports:
        return reach.tests([probe])
    found: set[str] = set()
    if probe is None and (name := _name_at(sources[path], line)):
        mention = re.compile(rf"\b{re.escape(name)}\b")
        lines = [(file, number) for file, text in sources.items() for number in _lines_with(mention, text)]
        here = [(file, number) for file, number in lines if not file.startswith("tests/")]
        files = {file for file, _ in lines if file.startswith("tests/")}
        found = reach.tests(probe for place in here if (probe := probes.at(*place)) is not None)
        found |= {test for test in reach.probes if test.partition("::")[0] in files}
    return found or reach.tests(span.probe for span in probes.spans[path])


def _name_at(source: str, line: int) -> str:
    """The name that is assigned on a line outside of functions."""
    for node in ast.walk(ast.parse(source)):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.lineno <= line <= (node.end_lineno or node.lineno):
            return next((target.id for target in targets if isinstance(target, ast.Name)), "")
    return ""


def _lines_with(mention: re.Pattern[str], text: str) -> Iterator[int]:
    return (number for number, line in enumerate(text.splitlines(), 1) if mention.search(line))
