"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from swarmfn.wire.visible import visible

_BRIEF = 120


def brief(text: str) -> str:
    """The first line of it, short enough for a column."""
    line = text.strip().partition("\n")[0]
    return line if len(line) <= _BRIEF else f"{line[: _BRIEF - 1].rstrip()}…"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns, without spaces at line ends."""
    rows = [[visible(cell) for cell in row] for row in rows]  # problems quote what functions wrote
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
