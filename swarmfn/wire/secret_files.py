"""Secret files: how every program reads one."""

from __future__ import annotations

import os

REDIS_PASSWORD = "redis-password"  # noqa: S105, the name of a file
SIGNING_KEY = "callback-signing-key"
USER = "basic-auth-user"
PASSWORD = "basic-auth-password"  # noqa: S105, as above
REGISTRY_LOGINS = "registry-logins"
"""Not a password but a file like Docker's config.json: how nodes log in where they pull functions' images."""

PREVIOUS = "-previous"
"""Added to a file's name: what it was before, while a new one is being put in force."""


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


def redis_passwords(now: str | None, before: str | None) -> list[str]:
    """What may open Redis, in the order to try it, of its password and its previous one. While both are there nobody
    knows which of them Redis has by now."""
    found = [password for password in (now, before) if password]
    # Once more: Redis may have been given the new one between two attempts.
    return [*found, found[0]] if len(found) > 1 else found


class SecretFile:
    """One that may be replaced while a program runs; not for more than a thread at a time, except that all of them may
    read."""

    def __init__(self, directory: str | os.PathLike[str], name: str) -> None:
        self._path = os.path.join(directory, name)
        self._seen: tuple[int, int, int] | None = None
        self._value: str | None = None

    def value(self) -> str | None:
        """What is in it now; None where there is none. One that cannot be used is taken for unchanged."""
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            self._seen = self._value = None
            return None
        except OSError:
            return self._value
        seen = (status.st_mtime_ns, status.st_ino, status.st_size)
        if seen != self._seen:
            try:
                self._value = read_secret(self._path)
            except (OSError, ValueError):
                return self._value
            self._seen = seen
        return self._value
