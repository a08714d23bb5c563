"""What a service of the compose file is on Swarm: its specification, as the engine's API takes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stack.compose.model import Grant, Healthcheck, Mount, Port, Resources, Rollout, Service
from swarmfn.wire.swarm_labels import STACK_LABEL

SPEC_MARK = "com.swarmfn.spec"
"""On a service: a hash of its whole specification. `up` knows by it what differs."""

TASK_MARK = "com.swarmfn.task"
"""On its containers: a hash of what a replica is. Replicas of the wanted kind are told from older ones by it."""

IMAGE_LABEL = "com.docker.stack.image"
_SECOND = 10**9


@dataclass(frozen=True)
class Reference:
    """A config or secret of the engine's."""

    id: str
    name: str


@dataclass(frozen=True)
class Surroundings:
    """What a specification needs to know besides the compose file.

    images: the image to run for a service's name; networks, configs, secrets: the engine's objects by their key in the
    compose file; data_node: the id of the node that named volumes lie on; constraints: added to those of every service;
    has_no_new_privileges: the engine offers that for services.
    """

    stack: str
    images: Mapping[str, str]
    networks: Mapping[str, str] = field(default_factory=dict)
    configs: Mapping[str, Reference] = field(default_factory=dict)
    secrets: Mapping[str, Reference] = field(default_factory=dict)
    data_node: str = ""
    constraints: tuple[str, ...] = ()
    has_no_new_privileges: bool = False


def service_spec(service: Service, around: Surroundings) -> dict[str, Any]:
    """The whole specification of a service, with its marks."""
    template = _task_template(service, around)
    ports = [_port(port) for port in service.ports]
    # A replica that publishes another port is another replica, though its template is the same.
    template["ContainerSpec"]["Labels"][TASK_MARK] = mark({"template": template, "ports": ports})
    spec: dict[str, Any] = {
        "Name": f"{around.stack}_{service.name}",
        "Labels": {STACK_LABEL: around.stack, IMAGE_LABEL: service.image},
        "TaskTemplate": template,
        "Mode": {"Replicated": {"Replicas": service.replicas}},
        "UpdateConfig": _rollout(service.deploy.update),
        "RollbackConfig": _rollout(service.deploy.rollback),
        "EndpointSpec": {"Mode": service.deploy.endpoint_mode, "Ports": ports},
    }
    spec["Labels"][SPEC_MARK] = mark(spec)
    return spec


def mark(document: Mapping[str, Any]) -> str:
    """Equal for equal documents."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]


def _task_template(service: Service, around: Surroundings) -> dict[str, Any]:
    restart = service.deploy.restart
    template: dict[str, Any] = {
        "ContainerSpec": _container(service, around),
        "RestartPolicy": {
            "Condition": restart.condition,
            "Delay": _nanoseconds(restart.delay),
            "MaxAttempts": restart.max_attempts,
            "Window": _nanoseconds(restart.window),
        },
        "Placement": {"Constraints": _constraints(service, around)},
        "Resources": {
            "Limits": _amounts(service.deploy.limits),
            "Reservations": _amounts(service.deploy.reservations),
        },
        # Others find it by its plain name, as in the compose file.
        "Networks": [{"Target": around.networks[name], "Aliases": [service.name]} for name in service.networks],
    }
    if service.logging:
        template["LogDriver"] = {"Name": service.logging.driver, "Options": dict(service.logging.options)}
    return template


def _container(service: Service, around: Surroundings) -> dict[str, Any]:
    container: dict[str, Any] = {
        "Image": around.images.get(service.name, service.image),
        "Labels": {STACK_LABEL: around.stack},
        "Env": [f"{name}={value}" for name, value in sorted(service.environment.items())],
        "StopGracePeriod": _nanoseconds(service.stop_grace_period),
        "Mounts": [
            *(_mount(mount, around.stack) for mount in service.mounts),
            *({"Type": "tmpfs", "Target": target} for target in service.tmpfs),
        ],
        "Secrets": [_grant("Secret", grant, around.secrets[grant.source]) for grant in service.secrets],
        "Configs": [_grant("Config", grant, around.configs[grant.source]) for grant in service.configs],
    }
    if service.command:
        container["Args"] = list(service.command)
    if service.user:
        container["User"] = service.user
    if service.has_init:
        container["Init"] = True
    if service.is_read_only:
        container["ReadOnly"] = True
    for key, names in (("CapabilityAdd", service.cap_add), ("CapabilityDrop", service.cap_drop)):
        if names:
            container[key] = ["ALL" if name == "ALL" else f"CAP_{name.removeprefix('CAP_')}" for name in names]
    if around.has_no_new_privileges:
        container["Privileges"] = {"NoNewPrivileges": True}
    if service.healthcheck:
        container["Healthcheck"] = _healthcheck(service.healthcheck)
    return container


def _constraints(service: Service, around: Surroundings) -> list[str]:
    """A named volume is a directory of one node: on another node the service would begin with an empty one."""
    has_data = any(mount.kind == "volume" for mount in service.mounts)
    pinned = [f"node.id == {around.data_node}"] if has_data and around.data_node else []
    return [*service.deploy.constraints, *pinned, *around.constraints]


def _mount(mount: Mount, stack: str) -> dict[str, Any]:
    found: dict[str, Any] = {"Type": mount.kind, "Source": mount.source, "Target": mount.target}
    if mount.is_read_only:
        found["ReadOnly"] = True
    if mount.kind == "volume":
        found["Source"] = f"{stack}_{mount.source}"
        found["VolumeOptions"] = {"Labels": {STACK_LABEL: stack}}
    return found


def _grant(kind: str, grant: Grant, reference: Reference) -> dict[str, Any]:
    # Readable for every user of the container: who that is, is the image's business, and nobody else is in it.
    file = {"Name": grant.target, "UID": "0", "GID": "0", "Mode": grant.mode}
    return {f"{kind}ID": reference.id, f"{kind}Name": reference.name, "File": file}


def _healthcheck(check: Healthcheck) -> dict[str, Any]:
    return {
        "Test": list(check.test),
        "Interval": _nanoseconds(check.interval),
        "Timeout": _nanoseconds(check.timeout),
        "StartPeriod": _nanoseconds(check.start_period),
        "Retries": check.retries,
    }


def _rollout(rollout: Rollout) -> dict[str, Any]:
    return {
        "Parallelism": rollout.parallelism,
        "Delay": _nanoseconds(rollout.delay),
        "FailureAction": rollout.failure_action,
        "Monitor": _nanoseconds(rollout.monitor),
        "Order": rollout.order,
    }


def _port(port: Port) -> dict[str, Any]:
    return {
        "Protocol": port.protocol,
        "TargetPort": port.target,
        "PublishedPort": port.published,
        "PublishMode": port.mode,
    }


def _amounts(amounts: Resources) -> dict[str, int]:
    found = {"MemoryBytes": amounts.memory, "NanoCPUs": round(amounts.cpus * 1e9), "Pids": amounts.pids}
    return {name: amount for name, amount in found.items() if amount}


def _nanoseconds(seconds: float) -> int:
    return round(seconds * _SECOND)
