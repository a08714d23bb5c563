"""Tables for a terminal."""

from __future__ import annotations

from stack.tables import brief, table


def test_a_long_text_is_cut_for_a_column() -> None:
    assert brief("no luck") == "no luck"
    assert brief("no luck\n  | with details\n") == "no luck"
    line = (
        "exited with status 1 at start: the function in /a/long/path/of/folders/that/are/in/each/other/well cannot " * 2
    )
    assert brief(f"{line}be used: RuntimeError: no luck") == (
        "exited with status 1 at start: the … cannot be used: RuntimeError: no luck"
    )
    assert len(brief("x" * 1000)) == 118


def test_columns_are_aligned_and_show_control_characters() -> None:
    assert table([("A", "B"), ("long", "\x1b[2J")]) == "A      B\nlong   \\x1b[2J"
