"""Which known name an unknown one is a misspelling of."""

from __future__ import annotations

from collections.abc import Iterable

_LIKENESS = 0.8
"""Of 1. Two letters in the wrong order in a name of six still count."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The name of `known` that is meant, "" if none is. Capital letters, `_` and `-` make no difference."""
    from difflib import get_close_matches  # needed only after a mistake

    plain = {_plain(one): one for one in known}
    found = get_close_matches(_plain(name), plain, n=1, cutoff=_LIKENESS)
    return plain[found[0]] if found else ""


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
