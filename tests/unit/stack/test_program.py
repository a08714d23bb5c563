"""Where an installed program keeps its state."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.program import COMMAND, ROOT, state_directory


def test_a_checkout_keeps_its_state_beside_itself() -> None:
    assert COMMAND == "python3 deploy_extended.py"
    assert state_directory(False, {"XDG_STATE_HOME": "/elsewhere"}) == ROOT / ".swarmfn"


def test_an_installed_one_keeps_it_where_the_user_has_state() -> None:
    assert state_directory(True, {"XDG_STATE_HOME": "/elsewhere"}) == Path("/elsewhere/swarmfn")


@pytest.mark.parametrize("environ", [{}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}])
def test_without_a_usable_variable_it_is_the_default_folder(environ: dict[str, str]) -> None:
    assert state_directory(True, environ) == Path.home() / ".local/state/swarmfn"
