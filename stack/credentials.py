"""The administrator's password, Redis's, and the key that callbacks are signed with.

What is wanted lies in the state directory's `secrets`, where an operator may change it. What the programs of a stack
have now lies in `in-force`: a change has no effect before the next `up` puts it in force, everywhere at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stack.errors import StackError
from stack.state import StateDirectory
from swarmfn.private_files import write_private
from swarmfn.wire.secret_files import PASSWORD, REDIS_PASSWORD, SIGNING_KEY, USER, read_secret

NAMES = (USER, PASSWORD, REDIS_PASSWORD, SIGNING_KEY)
"""The secrets that every stack has."""

_USUAL_USER = "admin"


@dataclass(frozen=True)
class Credentials:
    """What a client of the gateway's management API, and of Redis, needs."""

    user: str
    password: str
    redis_password: str

    @property
    def login(self) -> tuple[str, str]:
        """User and password as requests takes them: it writes texts in Latin-1, and the gateway reads UTF-8."""
        return self.user.encode().decode("latin-1"), self.password.encode().decode("latin-1")


def make_credentials(state: StateDirectory) -> Credentials:
    """The credentials that this stack is to have. Those that are missing are made; what is there is never changed.

    Raises StackError for one that cannot be used.
    """
    made = {USER: _USUAL_USER, PASSWORD: secrets.token_urlsafe(24), REDIS_PASSWORD: secrets.token_urlsafe(24)}
    values = {name: _kept(state, name, made.get(name) or secrets.token_urlsafe(32)) for name in NAMES}
    return Credentials(values[USER], values[PASSWORD], values[REDIS_PASSWORD])


def read_credentials(state: StateDirectory) -> Credentials | None:
    """The credentials in force, or None where none were made yet."""
    try:
        return Credentials(*(_in_force(state, name) for name in (USER, PASSWORD, REDIS_PASSWORD)))
    except OSError:
        return None


def put_in_force(state: StateDirectory, names: Iterable[str] = NAMES) -> list[str]:
    """From now on what is wanted is what the stack has; the names of those that are others than before.

    The file for people is written again where it is wrong.
    """
    changed = []
    for name in names:
        wanted, now = read_one(state.secrets / name), secret_in_force(state, name)
        if wanted != now:
            write_private(state.in_force / name, wanted)
            if now is not None:
                changed.append(name)
    text = _described(state)
    if not state.credentials.exists() or state.credentials.read_text(encoding="utf-8", errors="replace") != text:
        write_private(state.credentials, text)
    return changed


def secret_in_force(state: StateDirectory, name: str) -> str | None:
    """The value that the stack has; None where nobody has noted one yet."""
    try:
        return read_one(state.in_force / name)
    except OSError:
        return None


def read_one(path: Path) -> str:
    """The secret in a file. Raises OSError, and StackError for what cannot be used."""
    try:
        secret = read_secret(path)
    except ValueError as exc:
        raise StackError(f"{path} cannot be used: {exc}.") from exc
    if not secret:
        raise StackError(f"{path} is empty. Write the password into it, or remove it to have another one made.")
    if path.name == USER and ":" in secret:
        raise StackError(f"{path} has a colon in it, which would end the user name in HTTP Basic credentials.")
    return secret


def _kept(state: StateDirectory, name: str, value: str) -> str:
    path = state.secrets / name
    if not path.exists():
        write_private(path, value)
    return read_one(path)


def _in_force(state: StateDirectory, name: str) -> str:
    """Of a stack that has noted nothing yet, what is wanted."""
    return secret_in_force(state, name) or read_one(state.secrets / name)


def _described(state: StateDirectory) -> str:
    user, password = _in_force(state, USER), _in_force(state, PASSWORD)
    return (
        f"{user}:{password}\n"
        "# User and password of the management API, the dashboard and faas-cli, for example:\n"
        f'# curl -u "$(head -n 1 {state.credentials})" http://127.0.0.1:{state.settings().managing_port}/system/functions\n'
        f"# `up` writes this file. To have others, change the files in {state.secrets} and run `up` again.\n"
    )
