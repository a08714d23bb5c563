"""Which compose files describe the stack, from one `up` to the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.chosen_files import COMPOSE_FILE, choose_files, files_of
from stack.errors import StackError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (COMPOSE_FILE, "a.yml", "b.yml"):
        (tmp_path / name).touch()
    return tmp_path


def test_without_any_it_is_our_own_and_nothing_is_said(root: Path) -> None:
    said: list[str] = []
    assert choose_files([], (), root, said.append) == ()
    assert files_of((), root) == (root / COMPOSE_FILE,)
    assert said == []


def test_those_of_the_last_run_count_until_others_are_named(root: Path) -> None:
    said: list[str] = []
    chosen = choose_files([root / COMPOSE_FILE, root / "a.yml"], (), root, said.append)
    assert files_of(chosen, root) == (root / COMPOSE_FILE, root / "a.yml")
    assert choose_files([], chosen, root, said.append) == chosen
    files = f"compose files: {root / COMPOSE_FILE}, {root / 'a.yml'}"
    assert said == [files, f"{files}, as in the last up (-f {root / COMPOSE_FILE} alone undoes it)"]


def test_what_is_left_out_is_said(root: Path) -> None:
    said: list[str] = []
    before = tuple(str(root / name) for name in (COMPOSE_FILE, "a.yml", "b.yml"))
    assert choose_files([root / COMPOSE_FILE, root / "b.yml"], before, root, said.append) == (before[0], before[2])
    assert said == [f"compose files: what {root / 'a.yml'} said is undone; now {root / COMPOSE_FILE}, {root / 'b.yml'}"]


def test_our_own_alone_is_the_way_back(root: Path) -> None:
    said: list[str] = []
    before = (str(root / COMPOSE_FILE), str(root / "a.yml"))
    assert choose_files([root / "x" / ".." / COMPOSE_FILE], before, root, said.append) == ()
    assert f"what {', '.join(before)} said is undone" not in said[0]
    assert said == [f"compose files: what {root / 'a.yml'} said is undone; now {root / COMPOSE_FILE}"]


def test_one_that_is_gone_since_is_no_reason_to_undo_it(root: Path) -> None:
    before = (str(root / COMPOSE_FILE), str(root / "gone.yml"))
    with pytest.raises(StackError, match=r"gone\.yml: is gone.*docker-compose\.swarm\.yml alone undoes it"):
        choose_files([], before, root, print)
