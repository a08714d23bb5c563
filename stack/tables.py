"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from swarmfn.wire.visible import visible

_HEAD, _TAIL = 40, 75


def brief(text: str) -> str:
    """The first line of it, short enough for a column. What is left out is in the middle: what went wrong is at
    the beginning, and why at the end."""
    line = text.strip().partition("\n")[0]
    if len(line) <= _HEAD + _TAIL + 3:
        return line
    return f"{line[:_HEAD].rpartition(' ')[0] or line[:_HEAD]} … {line[-_TAIL:].partition(' ')[2] or line[-_TAIL:]}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns, without spaces at line ends."""
    rows = [[visible(cell) for cell in row] for row in rows]  # problems quote what functions wrote
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
