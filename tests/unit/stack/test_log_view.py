"""What `logs` shows of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.embedded.log_view import follow, show
from stack.tables import table


def test_what_a_function_wrote_does_not_act_on_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "echo.1.log"
    log.write_bytes(b"plain\n\x1b]0;owned\x07\x1b[2J red\r\n\xff\xc2\x9b31m\n")
    shown: list[str] = []
    show([log], 5, shown.append)
    assert shown == ["plain", r"\x1b]0;owned\x07\x1b[2J red", "\ufffd" + r"\x9b31m"]


def test_nor_does_a_problem_that_quotes_it_in_a_status() -> None:
    assert table([("FUNCTION", "PROBLEM"), ("echo", "said \x1b[2J")]).splitlines()[1] == r"echo       said \x1b[2J"


def test_as_many_lines_are_shown_as_were_asked_for(tmp_path: Path) -> None:
    log = tmp_path / "echo.1.log"
    log.write_text("".join(f"line {number} {'x' * 100}\n" for number in range(3000)))
    shown: list[str] = []
    show([log], 2500, shown.append)
    assert len(shown) == 2500
    assert [line.split()[1] for line in (shown[0], shown[-1])] == ["500", "2999"]
    shown.clear()
    show([log], 5000, shown.append)
    assert (len(shown), shown[0].split()[1]) == (3000, "0")


class Enough(Exception):
    """What is followed has no end."""


def test_following_goes_on_with_replicas_that_come_later(tmp_path: Path) -> None:
    first, second = tmp_path / "echo.1.log", tmp_path / "echo.2.log"
    first.write_text("old\n")
    rounds = iter(range(100))

    def find() -> list[Path]:
        match next(rounds):
            case 2:
                first.write_text("old\nnew\n")
            case 3:
                second.write_text("of the second\n")
        return sorted(tmp_path.glob("*.log"))

    shown: list[str] = []

    def write(line: str) -> None:
        shown.append(line)
        if len(shown) == 2:
            raise Enough

    with pytest.raises(Enough):
        follow(find, write)
    assert shown == ["new", "echo.2     | of the second"]
