"""What `logs` shows of a file."""

from __future__ import annotations

from pathlib import Path

from stack.embedded.log_view import show
from stack.tables import table


def test_what_a_function_wrote_does_not_act_on_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "echo.1.log"
    log.write_bytes(b"plain\n\x1b]0;owned\x07\x1b[2J red\r\n\xff\xc2\x9b31m\n")
    shown: list[str] = []
    show([log], 5, shown.append)
    assert shown == ["plain", r"\x1b]0;owned\x07\x1b[2J red", "\ufffd" + r"\x9b31m"]


def test_nor_does_a_problem_that_quotes_it_in_a_status() -> None:
    assert table([("FUNCTION", "PROBLEM"), ("echo", "said \x1b[2J")]).splitlines()[1] == r"echo       said \x1b[2J"
