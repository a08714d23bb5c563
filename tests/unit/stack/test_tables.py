"""Tables for a terminal."""

from __future__ import annotations

from stack.tables import brief, table


def test_a_long_text_is_cut_for_a_column() -> None:
    assert brief("no luck") == "no luck"
    assert brief("no luck\n  | with details\n") == "no luck"
    cut = brief("word " * 100)
    assert (len(cut) <= 120, cut[-6:]) == (True, " word…")


def test_columns_are_aligned_and_show_control_characters() -> None:
    assert table([("A", "B"), ("long", "\x1b[2J")]) == "A      B\nlong   \\x1b[2J"
