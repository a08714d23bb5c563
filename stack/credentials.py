"""The administrator's password, Redis's, and the key that callbacks are signed with: made once, kept for as long as the
state directory is."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from stack.state import StateDirectory, write_private

USER = "admin"


@dataclass(frozen=True)
class Credentials:
    """What a client of the gateway's management API, and of Redis, needs."""

    user: str
    password: str
    redis_password: str


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
        return Credentials(*((state.secrets / name).read_text().strip() for name in names))
    except OSError:
        return None


def _secret(state: StateDirectory, name: str, value: str) -> str:
    path = state.secrets / name
    if not path.exists():
        write_private(path, value)
    return path.read_text().strip()


def _described(state: StateDirectory, user: str, password: str) -> str:
    return (
        f"{user}:{password}\n"
        "# User and password of the management API, the dashboard and faas-cli, for example:\n"
        f'# curl -u "$(head -n 1 {state.credentials})" http://127.0.0.1:{state.settings().managing_port}/system/functions\n'
    )
