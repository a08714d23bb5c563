"""The stack's passwords as secrets of the swarm, and the local copy of them that Docker does not give back."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

import docker

from stack.compose.model import Secret
from stack.credentials import Credentials, make_credentials, read_one, secret_in_force
from stack.errors import StackError
from stack.state import StateDirectory
from stack.swarm.engine_api import api_of
from stack.swarm.engine_client import engine_errors
from stack.swarm.spec import Reference
from swarmfn.provider.swarm.documents import SecretDocument

OWNER_LABEL = "com.swarmfn.stack"
"""On what belongs to a stack but survives its `down`. With Docker's own stack label, `docker stack rm` would delete
it."""

CHECK_LABEL = "com.swarmfn.check"
"""A salted hash of the secret's value: tells whether the local copy is the same."""


@dataclass(frozen=True)
class _Found:
    id: str
    check: str
    stack: str


def ensure_secrets(
    client: docker.DockerClient, stack: str, secrets: Mapping[str, Secret], state: StateDirectory
) -> tuple[Credentials, dict[str, Reference]]:
    """The stack's credentials as they are wanted, and the secrets by their key in the compose file.

    Docker cannot change a secret: another value is another secret, with a suffix to its name. Raises StackError where
    the swarm has secrets that the state directory has no copy of, or others.
    """
    present = _present(client)
    versions = {key: _versions(secret.external_name, stack, present) for key, secret in secrets.items()}
    names = {key: secret.external_name for key, secret in secrets.items()}
    lost = [names[key] for key, found in versions.items() if found and not (state.secrets / key).exists()]
    if lost:
        raise StackError(_lost(stack, lost, state, "has no copy of them"))
    credentials = make_credentials(state)
    values = {key: _value(state, key) for key in names}
    chosen = {key: _of_value(values[key], versions[key], secret_in_force(state, key)) for key in names}
    others = [
        names[key]
        for key, found in versions.items()
        if found and not chosen[key] and not _is_ours(state, key, found)
    ]  # fmt: skip
    if others:
        raise StackError(_lost(stack, others, state, "has others"))
    references = {}
    for key, base in names.items():
        name = chosen[key] or (f"{base}.{os.urandom(4).hex()}" if versions[key] else base)
        found = present.get(name)
        references[key] = Reference(found.id if found else _create(client, stack, name, values[key]), name)
    return credentials, references


def ensure_value(client: docker.DockerClient, stack: str, secret: Secret, value: str) -> Reference:
    """The secret with this value, of which no copy is kept here. One of the name that was made by hand is taken as it
    is. Raises StackError."""
    present = _present(client)
    base, versions = secret.external_name, _versions(secret.external_name, stack, present)
    name = _of_value(value, versions, None) or (f"{base}.{os.urandom(4).hex()}" if versions else base)
    found = present.get(name)
    return Reference(found.id if found else _create(client, stack, name, value), name)


def has_secrets(client: docker.DockerClient, stack: str) -> bool:
    """Whether the swarm has any of this stack, made by us or by hand."""
    return any(name.startswith(f"{stack}_") for name in _present(client))


def remove_superseded(client: docker.DockerClient, stack: str, secrets: Mapping[str, Secret], keep: set[str]) -> None:
    """Removes the versions of the secrets that no service needs any more; `keep` holds ids."""
    present = _present(client)
    for secret in secrets.values():
        for name, found in _versions(secret.external_name, stack, present).items():
            if found.id not in keep and found.stack == stack:
                with engine_errors(f"remove the secret {name}"):
                    api_of(client).remove_secret(found.id)


def remove_secrets(client: docker.DockerClient, stack: str) -> None:
    """Removes those that this stack made."""
    with engine_errors("remove the secrets"):
        for entry in api_of(client).secrets(filters={"label": [f"{OWNER_LABEL}={stack}"]}):
            api_of(client).remove_secret(entry["ID"])


def check_of(value: str, salt: bytes) -> str:
    """What the label says of a value."""
    digest = hashlib.scrypt(value.encode(), salt=salt, n=2**14, r=8, p=1, dklen=16)
    return f"{base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _versions(base: str, stack: str, present: Mapping[str, _Found]) -> dict[str, _Found]:
    """The secrets that hold or held one value of the stack's, by name; the first one first."""
    version = re.compile(re.escape(base) + r"\.[0-9a-f]{8}")
    first = {base: present[base]} if base in present else {}
    return first | {
        name: found for name, found in present.items() if version.fullmatch(name) and found.stack == stack
    }  # fmt: skip


def _of_value(value: str, versions: Mapping[str, _Found], in_force: str | None) -> str:
    """The name of the one with this value; "" for none."""
    return next((name for name, found in versions.items() if _matches(value, found.check, in_force)), "")


def _is_ours(state: StateDirectory, key: str, versions: Mapping[str, _Found]) -> bool:
    """Whether this state directory is the one of the stack: it knows a value that the stack has had."""
    in_force = secret_in_force(state, key)
    return in_force is not None and bool(_of_value(in_force, versions, in_force))


def _matches(value: str, check: str, in_force: str | None) -> bool:
    """A secret without our label was made by hand; it is taken for what the local copy said at first."""
    if "$" not in check:
        return in_force in (None, value)
    salt = base64.b64decode(check.partition("$")[0])
    return check_of(value, salt) == check


def _present(client: docker.DockerClient) -> dict[str, _Found]:
    with engine_errors("list the secrets"):
        entries = api_of(client).secrets()
    return {entry["Spec"]["Name"]: _found(entry) for entry in entries}


def _found(entry: SecretDocument) -> _Found:
    labels = entry["Spec"].get("Labels") or {}
    return _Found(entry["ID"], labels.get(CHECK_LABEL, ""), labels.get(OWNER_LABEL, ""))


def _value(state: StateDirectory, key: str) -> str:
    path = state.secrets / key
    try:
        return read_one(path)
    except OSError as exc:
        raise StackError(f"the compose file wants a secret {key!r}: put its value into {path}.") from exc


def _create(client: docker.DockerClient, stack: str, name: str, value: str) -> str:
    labels = {OWNER_LABEL: stack, CHECK_LABEL: check_of(value, os.urandom(12))}
    with engine_errors(f"create the secret {name}"):
        created = api_of(client).create_secret(name, value.encode(), labels=labels)
    return str(created["ID"])


def _lost(stack: str, names: list[str], state: StateDirectory, what: str) -> str:
    return (
        f'the swarm has passwords of the stack "{stack}" ({", ".join(sorted(names))}), and {state.secrets} {what}; '
        "Docker does not give secrets back. Use the state directory that made them (--state-dir DIR). If it is lost: "
        f"`down --purge --stack {stack}` deletes the stack's functions, queued calls and passwords, and the next `up` "
        "makes new ones."
    )
