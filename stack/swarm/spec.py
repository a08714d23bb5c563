"""What a service of the compose file is on Swarm: its specification, as the engine's API takes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stack.compose.model import Attachment, Grant, Healthcheck, Mount, Port, Resources, Rollout, Service, Tmpfs, Volume
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
class SpecContext:
    """What a specification needs to know besides the compose file.

    images: the image to run for a service's name; networks, configs, secrets: the engine's objects by their key in the
    compose file; volumes: how that describes them; data_node: the id of the node that named volumes lie on;
    constraints: added to those of every service; has_no_new_privileges: the engine offers that for services.
    """

    stack: str
    images: Mapping[str, str]
    networks: Mapping[str, str] = field(default_factory=dict)
    configs: Mapping[str, Reference] = field(default_factory=dict)
    secrets: Mapping[str, Reference] = field(default_factory=dict)
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    data_node: str = ""
    constraints: tuple[str, ...] = ()
    has_no_new_privileges: bool = False


def service_spec(service: Service, context: SpecContext) -> dict[str, Any]:
    """The whole specification of a service, with its marks."""
    template = _task_template(service, context)
    ports = [_port(port) for port in service.ports]
    # A replica that publishes another port is another replica, though its template is the same.
    template["ContainerSpec"]["Labels"][TASK_MARK] = mark({"template": template, "ports": ports})
    spec: dict[str, Any] = {
        "Name": f"{context.stack}_{service.name}",
        "Labels": {**service.deploy.labels, STACK_LABEL: context.stack, IMAGE_LABEL: service.image},
        "TaskTemplate": template,
        "Mode": {"Global": {}} if service.deploy.mode == "global" else {"Replicated": {"Replicas": service.replicas}},
        "UpdateConfig": _rollout(service.deploy.update),
        "RollbackConfig": _rollout(service.deploy.rollback),
        "EndpointSpec": {"Mode": service.deploy.endpoint_mode, "Ports": ports},
    }
    spec["Labels"][SPEC_MARK] = mark(spec)
    return spec


def mark(document: Mapping[str, Any]) -> str:
    """Equal for equal documents."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]


def _task_template(service: Service, context: SpecContext) -> dict[str, Any]:
    restart = service.deploy.restart
    template: dict[str, Any] = {
        "ContainerSpec": _container(service, context),
        "RestartPolicy": {
            "Condition": restart.condition,
            "Delay": _nanoseconds(restart.delay),
            "MaxAttempts": restart.max_attempts,
            "Window": _nanoseconds(restart.window),
        },
        "Placement": _placement(service, context),
        "Resources": {
            "Limits": _amounts(service.deploy.limits),
            "Reservations": _amounts(service.deploy.reservations),
        },
        # Others find it by its plain name, as in the compose file.
        "Networks": [_attachment(service, name, context) for name in service.networks],
    }
    if service.logging:
        template["LogDriver"] = {"Name": service.logging.driver, "Options": dict(service.logging.options)}
    return template


def _container(service: Service, context: SpecContext) -> dict[str, Any]:
    container: dict[str, Any] = {
        "Image": context.images.get(service.name, service.image),
        "Labels": {**service.labels, STACK_LABEL: context.stack},
        # A bare name takes away what the image has.
        "Env": [
            *(f"{name}={value}" for name, value in sorted(service.environment.items())),
            *service.unset_environment,
        ],
        "StopGracePeriod": _nanoseconds(service.stop_grace_period),
        "Mounts": [
            *(_mount(mount, context) for mount in service.mounts),
            *(_tmpfs(tmpfs) for tmpfs in service.tmpfs),
        ],
        "Secrets": [_grant("Secret", grant, context.secrets[grant.source]) for grant in service.secrets],
        "Configs": [_grant("Config", grant, context.configs[grant.source]) for grant in service.configs],
    }
    container |= {key: value for key, value in _optional(service).items() if value}
    if service.has_init is not None:
        container["Init"] = service.has_init
    if service.is_read_only:
        container["ReadOnly"] = True
    for key, names in (("CapabilityAdd", service.cap_add), ("CapabilityDrop", service.cap_drop)):
        if names:
            container[key] = [_capability(name) for name in names]
    if context.has_no_new_privileges:
        container["Privileges"] = {"NoNewPrivileges": True}
    if service.healthcheck:
        container["Healthcheck"] = _healthcheck(service.healthcheck)
    return container


def _optional(service: Service) -> dict[str, Any]:
    """What a container has only if the file says it, by the key of the engine's API."""
    nameservers = {"Nameservers": list(service.dns), "Search": list(service.dns_search)}
    return {
        "Command": list(service.entrypoint),
        "Args": list(service.command),
        "User": service.user,
        "Dir": service.working_dir,
        "Hostname": service.hostname,
        "StopSignal": service.stop_signal,
        "DNSConfig": {key: value for key, value in nameservers.items() if value},
        "Sysctls": dict(service.sysctls),
        "Ulimits": [{"Name": limit.name, "Soft": limit.soft, "Hard": limit.hard} for limit in service.ulimits],
        # As in /etc/hosts.
        "Hosts": [f"{address} {name}" for name, address in service.extra_hosts],
    }


def _capability(name: str) -> str:
    name = name.upper()
    return "ALL" if name == "ALL" else f"CAP_{name.removeprefix('CAP_')}"


def _attachment(service: Service, network: str, context: SpecContext) -> dict[str, Any]:
    said = service.attachments.get(network, Attachment())
    found: dict[str, Any] = {"Target": context.networks[network], "Aliases": [*said.aliases, service.name]}
    return {**found, "DriverOpts": dict(said.options)} if said.options else found


def _placement(service: Service, context: SpecContext) -> dict[str, Any]:
    placement: dict[str, Any] = {"Constraints": _constraints(service, context)}
    if service.deploy.spread:
        placement["Preferences"] = [{"Spread": {"SpreadDescriptor": label}} for label in service.deploy.spread]
    if service.deploy.max_replicas_per_node:
        placement["MaxReplicas"] = service.deploy.max_replicas_per_node
    return placement


def _constraints(service: Service, context: SpecContext) -> list[str]:
    """A named volume is a directory of one node: on another node the service would begin with an empty one."""
    has_data = any(_is_of_one_node(mount, context) for mount in service.mounts)
    pinned = [f"node.id == {context.data_node}"] if has_data and context.data_node else []
    return [*service.deploy.constraints, *pinned, *context.constraints]


def _is_of_one_node(mount: Mount, context: SpecContext) -> bool:
    # One without a name is its container's, and goes with it.
    return mount.kind == "volume" and bool(mount.source) and not _volume(mount, context).is_shared


def _volume(mount: Mount, context: SpecContext) -> Volume:
    return context.volumes.get(mount.source) or Volume(mount.source)


def _mount(mount: Mount, context: SpecContext) -> dict[str, Any]:
    found: dict[str, Any] = {"Type": mount.kind, "Source": mount.source, "Target": mount.target}
    if mount.is_read_only:
        found["ReadOnly"] = True
    if mount.propagation:
        found["BindOptions"] = {"Propagation": mount.propagation}
    if mount.kind == "volume":
        options: dict[str, Any] = {"NoCopy": True} if mount.has_no_copy else {}
        if mount.source:
            volume = _volume(mount, context)
            found["Source"] = volume.name_in(context.stack)
            options |= {} if volume.is_external else _new_volume(volume, context.stack)
        found["VolumeOptions"] = options
    return found


def _new_volume(volume: Volume, stack: str) -> dict[str, Any]:
    """How the engine makes it, on each node that needs it."""
    made: dict[str, Any] = {"Labels": {**volume.labels, STACK_LABEL: stack}}
    if volume.driver or volume.options:
        made["DriverConfig"] = {"Name": volume.driver or "local", "Options": dict(volume.options)}
    return made


def _tmpfs(tmpfs: Tmpfs) -> dict[str, Any]:
    found: dict[str, Any] = {"Type": "tmpfs", "Target": tmpfs.target}
    options = {key: value for key, value in (("SizeBytes", tmpfs.size), ("Mode", tmpfs.mode)) if value}
    return {**found, "TmpfsOptions": options} if options else found


def _grant(kind: str, grant: Grant, reference: Reference) -> dict[str, Any]:
    # Readable for every user of the container: who that is, is the image's business, and nobody else is in it.
    file = {"Name": grant.target, "UID": grant.uid, "GID": grant.gid, "Mode": grant.mode}
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
    ratio = {"MaxFailureRatio": rollout.max_failure_ratio} if rollout.max_failure_ratio else {}
    return ratio | {
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
