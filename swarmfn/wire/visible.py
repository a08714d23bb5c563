"""Text from elsewhere as a terminal, a log or an error may show it: what would act there is shown escaped."""

from __future__ import annotations

import re

# Control characters of ASCII but the tab, and of Latin-1 (ECMA-48: a terminal obeys both); what ends a line elsewhere;
# what turns the order of the text around (Unicode, UAX #9: other words are read than stand there); half surrogates.
_ACTING = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SHORT = {"\n": r"\n", "\r": r"\r"}


def visible(text: str) -> str:
    r"""One line, in which a terminal finds nothing to obey: `\x1b[2J` is shown as these six characters."""
    return text if text.isprintable() else _ACTING.sub(_escaped, text)


def visible_lines(text: str) -> str:
    """The same for a text of several lines, which stay lines."""
    return text if text.isprintable() else "\n".join(map(visible, text.split("\n")))


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
