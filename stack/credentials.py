"""The administrator's password, Redis's, and the key that callbacks are signed with: made once, kept for as long as the
state directory is."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from stack.errors import StackError
from stack.state import StateDirectory, write_private
from swarmfn.wire.secret_files import read_secret

USER = "admin"


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
    """The credentials of this stack. What is there already is never changed."""
    user = _secret(state, "basic-auth-user", USER)
    password = _secret(state, "basic-auth-password", secrets.token_urlsafe(24))
    redis_password = _secret(state, "redis-password", secrets.token_urlsafe(24))
    _secret(state, "callback-signing-key", secrets.token_urlsafe(32))
    if not state.credentials.exists():
        write_private(state.credentials, _described(state, user, password))
    return Credentials(user, password, redis_password)


def read_credentials(state: StateDirectory) -> Credentials | None:
    """The credentials, or None where none were made yet."""
    names = ("basic-auth-user", "basic-auth-password", "redis-password")
    try:
        return Credentials(*(read_one(state.secrets / name) for name in names))
    except OSError:
        return None


def _secret(state: StateDirectory, name: str, value: str) -> str:
    path = state.secrets / name
    if not path.exists():
        write_private(path, value)
    return read_one(path)


def read_one(path: Path) -> str:
    """Raises OSError, and StackError for what cannot be used."""
    try:
        secret = read_secret(path)
    except ValueError as exc:
        raise StackError(f"{path} cannot be used: {exc}.") from exc
    if not secret:
        raise StackError(f"{path} is empty. Write the password into it, or remove it to have another one made.")
    if path.name == "basic-auth-user" and ":" in secret:
        raise StackError(f"{path} has a colon in it, where HTTP Basic credentials would end the name.")
    return secret


def _described(state: StateDirectory, user: str, password: str) -> str:
    return (
        f"{user}:{password}\n"
        "# User and password of the management API, the dashboard and faas-cli, for example:\n"
        f'# curl -u "$(head -n 1 {state.credentials})" http://127.0.0.1:{state.settings().managing_port}/system/functions\n'
    )
