"""The faults that `./test --mutants` puts in."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.mutants import TESTS, Mutant, drawn, folders_of, mutants_of
from tests.support.processes import REPOSITORY
from tests.support.reach import ROOMS, Reach, put_probes, reaching


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
    assert {room.partition("/")[0] for room in TESTS if room} == set(ROOMS)
    for room, folders in TESTS.items():
        assert (REPOSITORY / room).is_dir()
        assert all((REPOSITORY / folder).exists() for folder in folders)
    assert folders_of("worker/budget.py") == TESTS["worker"]
    assert folders_of("swarmfn/jobs/scripts") == TESTS["swarmfn/jobs"]
    assert folders_of("swarmfn") == folders_of("swarmfn/healthcheck.py") == ("tests/unit", "tests/contract")
    with pytest.raises(KeyError):
        folders_of("docs")


def test_each_room_gets_its_share_of_the_faults_and_a_seed_draws_them_again() -> None:
    places = [
        Mutant(f"{room}/x.py", line, 0, 0, "") for room, n in (("a", 70), ("b", 24), ("c", 6)) for line in range(n)
    ]
    sources = {f"{room}/x.py": "" for room in "abc"}
    found = drawn(places, 10, 1, sources)
    assert Counter(mutant.room for mutant in found) == {"a": 7, "b": 2, "c": 1}
    assert drawn(places, 10, 1, sources) == found
    assert drawn(places, 10, 2, sources) != found
    assert set(drawn(places, 1000, 1, sources)) == set(places)


CODE = '''
"""Door sign."""
from __future__ import annotations

LIMIT = 3


def double(
    x: int = 1,
) -> int:
    """Twice."""
    if x > 2:
        for _ in range(1):
            try:
                return many(x)
            finally:
                x = 2
    elif x:
        return 2 * x
    return 0


def many(x: int) -> int:
    return LIMIT
'''


def test_a_place_is_met_by_the_tests_that_reach_its_statement(tmp_path: Path) -> None:
    (tmp_path / "gateway").mkdir()
    file = tmp_path / "gateway" / "code_of_gateway.py"
    file.write_text(CODE)
    probes = put_probes(tmp_path, tmp_path / "map")

    def reached(*arguments: int) -> set[int]:
        """By a program of its own."""
        (tmp_path / "map").write_bytes(bytes(probes.count))
        program = f"from code_of_gateway import double; print(double({', '.join(map(str, arguments))}))"
        subprocess.run([sys.executable, "-c", program], cwd=file.parent, check=True)
        return {number for number, byte in enumerate((tmp_path / "map").read_bytes()) if byte}

    reach = Reach(probes={"large": reached(9), "small": reached(1), "none": reached(0), "usual": reached()})
    lines = {text.strip(): number for number, text in enumerate(CODE.splitlines(), 1)}

    def tests(line: str) -> set[str]:
        return reaching("gateway/code_of_gateway.py", lines[line], probes, reach, {"gateway/code_of_gateway.py": CODE})

    assert tests("if x > 2:") == tests("x: int = 1,") == {"large", "small", "none", "usual"}
    assert tests("return many(x)") == tests("x = 2") == tests("return LIMIT") == {"large"}
    assert tests("return 2 * x") == {"small", "usual"}
    assert tests("return 0") == {"none"}
    assert tests("LIMIT = 3") == {"large"}
