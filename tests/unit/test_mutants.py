"""The faults that `./test --mutants` puts in."""

from __future__ import annotations

import ast

import pytest

from tests.support.mutants import TESTS, folders_of, mutants_of
from tests.support.processes import REPOSITORY


def faults(source: str) -> set[str]:
    """The sources with one fault each."""
    return {mutant.applied(source.encode()).decode() for mutant in mutants_of("x.py", source.encode())}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", {"(a >= b)", "pass"}),
        ("x = a is not b", {"x = (a is b)"}),
        ("x = a <= b < c", {"x = (a > b < c)"}),
        ("x = a and b and c", {"x = (a or b or c)"}),
        ("x = not a", {"x = (a)"}),
        ("x = True", {"x = False"}),
        ("x = 5", {"x = 6", "x = (4)"}),
        ("x = 'ü', not a", {"x = 'ü', (a)"}),
        ("self.x = y", {"pass"}),
        ("x += y", {"pass"}),
        ("call(x)", {"pass"}),
        ("raise x", {"pass"}),
        ("x = (a ==\n  b)", {"x = ((a != b))"}),
    ],
)
def test_each_place_becomes_another(source: str, expected: set[str]) -> None:
    assert faults(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""Text."""',
        "logger.info('%d', 1)",
        "x: tuple[int, 1]",
        "x = zip(a, strict=True)",
        "@d(1)\ndef f(a: L[1]) -> L[1]:\n    return a",
    ],
)
def test_what_no_test_should_notice_is_left_alone(source: str) -> None:
    assert faults(source) == set()


def test_a_fault_is_shown_as_the_line_before_and_after() -> None:
    source = b"def f():\n    return 1\n"
    shown = [mutant.shown(source) for mutant in mutants_of("x.py", source)]
    assert shown == ["  - return 1\n  + return 2", "  - return 1\n  + return (0)"]


def test_every_fault_is_python() -> None:
    path = REPOSITORY / "worker" / "supervisor.py"
    source = path.read_bytes()
    found = mutants_of("worker/supervisor.py", source)
    assert len(found) > 30
    for mutant in found:
        ast.parse(mutant.applied(source))


def test_each_room_has_tests() -> None:
    assert {room.partition("/")[0] for room in TESTS} == {"worker", "gateway", "fwatchdog", "stack", "swarmfn"}
    for room, folders in TESTS.items():
        assert (REPOSITORY / room).is_dir()
        assert all((REPOSITORY / folder).exists() for folder in folders)
    assert folders_of("worker/budget.py") == TESTS["worker"]
    assert folders_of("swarmfn/jobs/scripts") == TESTS["swarmfn/jobs"]
    with pytest.raises(KeyError):
        folders_of("docs")
