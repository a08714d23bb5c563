"""What a service of the compose file is on Swarm: its specification, as the engine's API takes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from stack.compose.model import Attachment, Grant, Healthcheck, Mount, Port, Resources, Rollout, Service, Tmpfs, Volume
from swarmfn.provider.swarm.documents import (
    Amounts,
    ConfigGrant,
    ContainerSpec,
    DnsConfig,
    FileTarget,
    HealthcheckSpec,
    MountSpec,
    NetworkAttachment,
    PlacementSpec,
    PortConfig,
    RolloutConfig,
    SecretGrant,
    ServiceSpec,
    TaskTemplate,
    TmpfsOptions,
    VolumeOptions,
)
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


def service_spec(service: Service, context: SpecContext) -> ServiceSpec:
    """The whole specification of a service, with its marks."""
    template = _task_template(service, context)
    ports = [_port(port) for port in service.ports]
    # A replica that publishes another port is another replica, though its template is the same.
    template["ContainerSpec"]["Labels"][TASK_MARK] = mark({"template": template, "ports": ports})
    labels = {**service.deploy.labels, STACK_LABEL: context.stack, IMAGE_LABEL: service.image}
    spec: ServiceSpec = {
        "Name": f"{context.stack}_{service.name}",
        "Labels": labels,
        "TaskTemplate": template,
        "Mode": {"Global": {}} if service.deploy.mode == "global" else {"Replicated": {"Replicas": service.replicas}},
        "UpdateConfig": _rollout(service.deploy.update),
        "RollbackConfig": _rollout(service.deploy.rollback),
        "EndpointSpec": {"Mode": service.deploy.endpoint_mode, "Ports": ports},
    }
    labels[SPEC_MARK] = mark(spec)
    return spec


def mark(document: Mapping[str, object]) -> str:
    """Equal for equal documents."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]


def _task_template(service: Service, context: SpecContext) -> TaskTemplate:
    restart = service.deploy.restart
    template: TaskTemplate = {
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


def _container(service: Service, context: SpecContext) -> ContainerSpec:
    container: ContainerSpec = {
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
        "Secrets": [_secret(grant, context.secrets[grant.source]) for grant in service.secrets],
        "Configs": [_config(grant, context.configs[grant.source]) for grant in service.configs],
    }
    _add_program(container, service)
    _add_surroundings(container, service)
    if service.has_init is not None:
        container["Init"] = service.has_init
    if service.is_read_only:
        container["ReadOnly"] = True
    if service.cap_add:
        container["CapabilityAdd"] = [_capability(name) for name in service.cap_add]
    if service.cap_drop:
        container["CapabilityDrop"] = [_capability(name) for name in service.cap_drop]
    if context.has_no_new_privileges:
        container["Privileges"] = {"NoNewPrivileges": True}
    if service.healthcheck:
        container["Healthcheck"] = _healthcheck(service.healthcheck)
    return container


def _add_program(container: ContainerSpec, service: Service) -> None:
    """What the file says of the program, where it says something."""
    if service.entrypoint:
        container["Command"] = list(service.entrypoint)
    if service.command:
        container["Args"] = list(service.command)
    if service.user:
        container["User"] = service.user
    if service.working_dir:
        container["Dir"] = service.working_dir
    if service.stop_signal:
        container["StopSignal"] = service.stop_signal


def _add_surroundings(container: ContainerSpec, service: Service) -> None:
    """The same of what is around the program."""
    if service.hostname:
        container["Hostname"] = service.hostname
    if dns := _dns(service):
        container["DNSConfig"] = dns
    if service.sysctls:
        container["Sysctls"] = dict(service.sysctls)
    if service.ulimits:
        container["Ulimits"] = [
            {"Name": limit.name, "Soft": limit.soft, "Hard": limit.hard} for limit in service.ulimits
        ]
    if service.extra_hosts:
        # As in /etc/hosts.
        container["Hosts"] = [f"{address} {name}" for name, address in service.extra_hosts]


def _dns(service: Service) -> DnsConfig:
    found: DnsConfig = {}
    if service.dns:
        found["Nameservers"] = list(service.dns)
    if service.dns_search:
        found["Search"] = list(service.dns_search)
    return found


def _capability(name: str) -> str:
    name = name.upper()
    return "ALL" if name == "ALL" else f"CAP_{name.removeprefix('CAP_')}"


def _attachment(service: Service, network: str, context: SpecContext) -> NetworkAttachment:
    said = service.attachments.get(network, Attachment())
    found: NetworkAttachment = {"Target": context.networks[network], "Aliases": [*said.aliases, service.name]}
    if said.options:
        found["DriverOpts"] = dict(said.options)
    return found


def _placement(service: Service, context: SpecContext) -> PlacementSpec:
    placement: PlacementSpec = {"Constraints": _constraints(service, context)}
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


def _mount(mount: Mount, context: SpecContext) -> MountSpec:
    found: MountSpec = {"Type": mount.kind, "Source": mount.source, "Target": mount.target}
    if mount.is_read_only:
        found["ReadOnly"] = True
    if mount.propagation:
        found["BindOptions"] = {"Propagation": mount.propagation}
    if mount.kind == "volume":
        options: VolumeOptions = {"NoCopy": True} if mount.has_no_copy else {}
        if mount.source:
            volume = _volume(mount, context)
            found["Source"] = volume.name_in(context.stack)
            if not volume.is_external:
                _describe_new(volume, context.stack, options)
        found["VolumeOptions"] = options
    return found


def _describe_new(volume: Volume, stack: str, options: VolumeOptions) -> None:
    """Puts in how the engine makes it, on each node that needs it."""
    options["Labels"] = {**volume.labels, STACK_LABEL: stack}
    if volume.driver or volume.options:
        options["DriverConfig"] = {"Name": volume.driver or "local", "Options": dict(volume.options)}


def _tmpfs(tmpfs: Tmpfs) -> MountSpec:
    options: TmpfsOptions = {}
    if tmpfs.size:
        options["SizeBytes"] = tmpfs.size
    if tmpfs.mode:
        options["Mode"] = tmpfs.mode
    found: MountSpec = {"Type": "tmpfs", "Target": tmpfs.target}
    if options:
        found["TmpfsOptions"] = options
    return found


def _secret(grant: Grant, reference: Reference) -> SecretGrant:
    return {"SecretID": reference.id, "SecretName": reference.name, "File": _file(grant)}


def _config(grant: Grant, reference: Reference) -> ConfigGrant:
    return {"ConfigID": reference.id, "ConfigName": reference.name, "File": _file(grant)}


def _file(grant: Grant) -> FileTarget:
    # Readable for every user of the container: who that is, is the image's business, and nobody else is in it.
    return {"Name": grant.target, "UID": grant.uid, "GID": grant.gid, "Mode": grant.mode}


def _healthcheck(check: Healthcheck) -> HealthcheckSpec:
    return {
        "Test": list(check.test),
        "Interval": _nanoseconds(check.interval),
        "Timeout": _nanoseconds(check.timeout),
        "StartPeriod": _nanoseconds(check.start_period),
        "Retries": check.retries,
    }


def _rollout(rollout: Rollout) -> RolloutConfig:
    found: RolloutConfig = {
        "Parallelism": rollout.parallelism,
        "Delay": _nanoseconds(rollout.delay),
        "FailureAction": rollout.failure_action,
        "Monitor": _nanoseconds(rollout.monitor),
        "Order": rollout.order,
    }
    if rollout.max_failure_ratio:
        found["MaxFailureRatio"] = rollout.max_failure_ratio
    return found


def _port(port: Port) -> PortConfig:
    return {
        "Protocol": port.protocol,
        "TargetPort": port.target,
        "PublishedPort": port.published,
        "PublishMode": port.mode,
    }


def _amounts(amounts: Resources) -> Amounts:
    found: Amounts = {}
    if amounts.memory:
        found["MemoryBytes"] = amounts.memory
    if nanocpus := round(amounts.cpus * 1e9):
        found["NanoCPUs"] = nanocpus
    if amounts.pids:
        found["Pids"] = amounts.pids
    return found


def _nanoseconds(seconds: float) -> int:
    return round(seconds * _SECOND)
