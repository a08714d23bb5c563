"""How long a health check asks, and what it keeps for the next one. What it asks is tested on the real programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmfn.healthcheck import watch


class Program:
    """Says one after the other what is wrong with it, and the last of that for ever."""

    def __init__(self, *says: str) -> None:
        self._says = list(says)
        self.pauses: list[float] = []

    def ask(self) -> str:
        return self._says.pop(0) if len(self._says) > 1 else self._says[0]


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "is-well"


def watched(program: Program, mark: Path) -> str:
    return watch(program.ask, str(mark), program.pauses.append)


def test_the_first_check_ends_as_soon_as_all_is_well(mark: Path) -> None:
    program = Program("")
    assert watched(program, mark) == ""
    assert program.pauses == []
    program = Program("refused", "refused", "")
    mark.unlink()
    assert watched(program, mark) == ""
    assert program.pauses == [0.5, 0.5]
    assert mark.exists()


def test_a_program_that_does_not_get_well_has_some_seconds_for_it(mark: Path) -> None:
    program = Program("refused")
    assert watched(program, mark) == "refused"
    assert program.pauses == [0.5] * 8
    assert not mark.exists()


def test_one_that_is_well_is_asked_for_half_a_minute(mark: Path) -> None:
    mark.touch()
    program = Program("")
    assert watched(program, mark) == ""
    assert program.pauses == [5.0] * 6
    assert mark.exists()


def test_what_goes_wrong_meanwhile_is_said_at_once(mark: Path) -> None:
    mark.touch()
    program = Program("", "", "refused")
    assert watched(program, mark) == "refused"
    assert program.pauses == [5.0, 5.0]
    assert not mark.exists()


def test_where_the_file_cannot_be_made_every_check_ends_at_once(tmp_path: Path) -> None:
    program = Program("")
    for _ in range(2):
        assert watched(program, tmp_path / "no-folder" / "is-well") == ""
    assert program.pauses == []
