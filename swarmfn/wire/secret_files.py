"""Secret files: how every program reads one."""

from __future__ import annotations

import os


def read_secret(path: str | os.PathLike[str]) -> str:
    """Its text, with everything that may be part of a password, blanks at the end too; only a line break there is not.
    Raises OSError, or ValueError for what cannot be a password, which is not quoted."""
    with open(path, "rb") as file:
        content = file.read()
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    if any(character in text for character in "\r\n\0"):
        raise ValueError("it has more than one line, or a byte 0 in it")
    return text
