"""Functions while the stack is down: each is kept as a config of the swarm, and its service is made from that again.

What is kept is the service's whole spec, with the number of replicas, so that a function comes back as it was, also one
made by others. Two things are different then. Networks, secrets and configs are found again by their names, as they
may have been created again. And the login for a registry is gone: an engine takes it and never gives it back.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import docker
from docker import errors as docker_errors

from stack.errors import StackError
from stack.swarm.engine_api import api_of
from stack.swarm.engine_client import engine_errors
from stack.swarm.function_services import function_name, function_services
from stack.swarm.portable_specs import portable, resolved
from stack.swarm.restoring import make_service
from swarmfn.provider.swarm.documents import ConfigDocument, Labels, ServiceSpec

STACK_OF_FUNCTION = "com.swarmfn.stack"
STORED_FUNCTION = "com.swarmfn.stored-function"
"""Labels of the configs: the stack, and the function's name. Docker's own label for stacks is left off, since
`docker stack rm` would remove them."""

LARGEST = 500 * 1024
"""Bytes a config may hold."""

_FORMAT = 1
_LONGEST_NAME = 64

Say = Callable[[str], None]


@dataclass(frozen=True)
class Restored:
    """`names` are those whose services were made. `problems` says by name why others could not be; they stay stored."""

    names: tuple[str, ...]
    problems: Mapping[str, str]


def put_away(client: docker.DockerClient, stack: str, say: Say) -> list[str]:
    """Stores every function of the stack, each before its service is removed; their names.

    Stops, with nothing of that function lost, at one that cannot be stored (StackError). Interrupted, it is gone on
    with by calling it again.
    """
    services = function_services(client, stack)
    network_names = {network_id: name for name, network_id in _networks(client).items()} if services else {}
    for service in services:
        name = function_name(service)
        _store(client, stack, name, portable(service["Spec"], network_names))
        with engine_errors(f'remove the function "{name}"'), contextlib.suppress(docker_errors.NotFound):
            api_of(client).remove_service(service["ID"])
        say(f"{name}: stopped, its definition is kept")
    return [function_name(service) for service in services]


def restore(client: docker.DockerClient, stack: str, say: Say) -> Restored:
    """Makes the services of every stored function again, and forgets what was stored.

    A function that was deployed again in the meantime is left as it is. One whose network or secret is gone stays
    stored, for the next time.
    """
    configs = stored_configs(client, stack)
    known = (_networks(client), _secrets(client), _configs(client)) if configs else ({}, {}, {})
    made: list[str] = []
    problems: dict[str, str] = {}
    for config in configs:
        name = stored_name(config)
        try:
            if make_service(client, name, resolved(stored_spec(config), *known), say):
                made.append(name)
        except StackError as exc:
            problems[name] = str(exc)
            say(f"{name}: not restored, its definition stays stored: {exc}")
        else:
            _forget(client, config)
    return Restored(tuple(made), problems)


def forget(client: docker.DockerClient, stack: str) -> list[str]:
    """Deletes what is stored; the functions' names."""
    configs = stored_configs(client, stack)
    for config in configs:
        _forget(client, config)
    return [stored_name(config) for config in configs]


def stored_configs(client: docker.DockerClient, stack: str) -> list[ConfigDocument]:
    """The configs that hold the stack's functions, by the function's name."""
    with engine_errors("list the stored functions"):
        found = api_of(client).configs(filters={"label": f"{STACK_OF_FUNCTION}={stack}"})
    found = [config for config in found if STORED_FUNCTION in _labels(config)]
    return sorted(found, key=stored_name)


def stored_images(client: docker.DockerClient) -> set[str]:
    """The images that stored functions of all stacks will need, without digests."""
    with engine_errors("list the stored functions"):
        configs = api_of(client).configs(filters={"label": STORED_FUNCTION})
    images = set()
    for config in configs:
        # What another release stored cannot be read.
        with contextlib.suppress(StackError):
            spec = stored_spec(config)
            images.add(spec["TaskTemplate"]["ContainerSpec"]["Image"].partition("@")[0])
    return images


def stored_name(config: ConfigDocument) -> str:
    """The name of the function in a config."""
    return _labels(config)[STORED_FUNCTION]


def stored_spec(config: ConfigDocument) -> ServiceSpec:
    """The portable spec in a config. Raises StackError for one that this release cannot read."""
    try:
        document = json.loads(base64.b64decode(config["Spec"]["Data"]))
        if document["format"] == _FORMAT:
            spec: ServiceSpec = document["service"]
            return spec
        problem = f"its format {document['format']} is of another release"
    except (ValueError, KeyError, TypeError) as exc:
        problem = repr(exc)
    raise StackError(f"the config {config['Spec']['Name']} cannot be read: {problem}")


def _labels(config: ConfigDocument) -> Labels:
    return config["Spec"].get("Labels") or {}


def config_name(stack: str, name: str) -> str:
    """Within the length that Docker allows; a long name ends in a digest instead of its last letters."""
    whole = f"{stack}_function_{name}"
    if len(whole) <= _LONGEST_NAME:
        return whole
    return f"{whole[: _LONGEST_NAME - 9]}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def _store(client: docker.DockerClient, stack: str, name: str, spec: ServiceSpec) -> None:
    data = json.dumps({"format": _FORMAT, "service": spec}, sort_keys=True).encode()
    if len(data) > LARGEST:
        raise StackError(
            f'cannot keep the function "{name}": its definition has {len(data) // 1024} KiB, and Docker keeps at most '
            f"{LARGEST // 1024} KiB. Remove the function first, or shorten its environment."
        )
    labels = {STACK_OF_FUNCTION: stack, STORED_FUNCTION: name}
    with engine_errors(f'keep the function "{name}"'):
        for config in api_of(client).configs(filters={"name": config_name(stack, name)}):
            # Left from a time before; the service itself is still there.
            if config["Spec"]["Name"] == config_name(stack, name):
                api_of(client).remove_config(config["ID"])
        api_of(client).create_config(config_name(stack, name), data, labels)


def _forget(client: docker.DockerClient, config: ConfigDocument) -> None:
    with engine_errors(f"remove the config {config['Spec']['Name']}"), contextlib.suppress(docker_errors.NotFound):
        api_of(client).remove_config(config["ID"])


def _networks(client: docker.DockerClient) -> dict[str, str]:
    with engine_errors("list the networks"):
        return {network["Name"]: network["Id"] for network in api_of(client).networks(filters={"scope": "swarm"})}


def _secrets(client: docker.DockerClient) -> dict[str, str]:
    with engine_errors("list the secrets"):
        return {secret["Spec"]["Name"]: secret["ID"] for secret in api_of(client).secrets()}


def _configs(client: docker.DockerClient) -> dict[str, str]:
    with engine_errors("list the configs"):
        return {config["Spec"]["Name"]: config["ID"] for config in api_of(client).configs()}
