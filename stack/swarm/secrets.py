"""The stack's passwords as secrets of the swarm, and the local copy of them that Docker does not give back."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

import docker

from stack.compose.model import Secret
from stack.credentials import Credentials, make_credentials, read_one
from stack.errors import StackError
from stack.state import StateDirectory
from stack.swarm.engine_client import engine_errors
from stack.swarm.spec import Reference

OWNER_LABEL = "com.swarmfn.stack"
"""On what belongs to a stack but survives its `down`. With Docker's own stack label, `docker stack rm` would delete
it."""

CHECK_LABEL = "com.swarmfn.check"
"""A salted hash of the secret's value: tells whether the local copy is the same."""


@dataclass(frozen=True)
class _Found:
    id: str
    check: str


def ensure_secrets(
    client: docker.DockerClient, stack: str, secrets: Mapping[str, Secret], state: StateDirectory
) -> tuple[Credentials, dict[str, Reference]]:
    """The stack's credentials, and the secrets by their key in the compose file; each is made once, in both places.

    Raises StackError where the swarm has secrets that the state directory has no copy of, or another one.
    """
    present = _present(client)
    ours = {key: secret.external_name for key, secret in secrets.items()}
    known = {key for key in ours if (state.secrets / key).exists()}
    lost = [name for key, name in ours.items() if name in present and key not in known]
    if lost:
        raise StackError(_lost(stack, lost, state, "has no copy of them"))
    credentials = make_credentials(state)
    values = {key: _value(state, key) for key in ours}
    others = [ours[key] for key, value in values.items() if ours[key] in present and not _matches(
        value, present[ours[key]].check
    )]  # fmt: skip
    if others:
        raise StackError(_lost(stack, others, state, "has others"))
    references = {}
    for key, name in ours.items():
        found = present.get(name)
        references[key] = Reference(found.id if found else _create(client, stack, name, values[key]), name)
    return credentials, references


def has_secrets(client: docker.DockerClient, stack: str) -> bool:
    """Whether the swarm has any of this stack, made by us or by hand."""
    return any(name.startswith(f"{stack}_") for name in _present(client))


def remove_secrets(client: docker.DockerClient, stack: str) -> None:
    """Removes those that this stack made."""
    with engine_errors("remove the secrets"):
        for entry in client.api.secrets(filters={"label": [f"{OWNER_LABEL}={stack}"]}):
            client.api.remove_secret(entry["ID"])


def check_of(value: str, salt: bytes) -> str:
    """What the label says of a value."""
    digest = hashlib.scrypt(value.encode(), salt=salt, n=2**14, r=8, p=1, dklen=16)
    return f"{base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _matches(value: str, check: str) -> bool:
    """A secret without our label was made by hand; it is taken for what the local copy says."""
    if "$" not in check:
        return True
    salt = base64.b64decode(check.partition("$")[0])
    return check_of(value, salt) == check


def _present(client: docker.DockerClient) -> dict[str, _Found]:
    with engine_errors("list the secrets"):
        entries = client.api.secrets()
    return {
        entry["Spec"]["Name"]: _Found(entry["ID"], (entry["Spec"].get("Labels") or {}).get(CHECK_LABEL, ""))
        for entry in entries
    }


def _value(state: StateDirectory, key: str) -> str:
    path = state.secrets / key
    try:
        return read_one(path)
    except OSError as exc:
        raise StackError(f"the compose file wants a secret {key!r}: put its value into {path}.") from exc


def _create(client: docker.DockerClient, stack: str, name: str, value: str) -> str:
    labels = {OWNER_LABEL: stack, CHECK_LABEL: check_of(value, os.urandom(12))}
    with engine_errors(f"create the secret {name}"):
        created = client.api.create_secret(name, value.encode(), labels=labels)
    return str(created["ID"])


def _lost(stack: str, names: list[str], state: StateDirectory, what: str) -> str:
    return (
        f'the swarm has passwords of the stack "{stack}" ({", ".join(sorted(names))}), and {state.secrets} {what}; '
        "Docker does not give secrets back. Use the state directory that made them (--state-dir DIR). If it is lost: "
        f"`down --purge --stack {stack}` deletes the stack's functions, queued calls and passwords, and the next `up` "
        "makes new ones."
    )
