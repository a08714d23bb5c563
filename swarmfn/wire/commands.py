"""Commands as watchdogs take them: split at each space, with no shell in between."""

from __future__ import annotations

import re

_QUOTED = re.compile(r"""(?:^|\s)((["']).*?\2)(?=\s|$)|=((["'])[^"']*\s[^"']*\4)(?=\s|$)""", re.DOTALL)


def quoted_part(command: str) -> str:
    """The first part of a command that is in quotes as for a shell, "" if there is none. Quotes within a word, such as
    in `jq .["a"]`, are that word's own."""
    found = _QUOTED.search(command)
    return (found[1] or found[3]) if found else ""
