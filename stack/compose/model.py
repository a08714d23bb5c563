"""What a compose file says, as records. Durations are seconds, sizes bytes; processors are counted, as in 0.5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Port:
    """A port of the container that the node publishes. `mode`: host, or ingress (the routing mesh)."""

    target: int
    published: int
    protocol: str = "tcp"
    mode: str = "ingress"


@dataclass(frozen=True)
class Grant:
    """A secret or config that a service gets as a file. `source` is its key in the compose file."""

    source: str
    target: str
    mode: int = 0o444
    uid: str = "0"
    gid: str = "0"


@dataclass(frozen=True)
class Mount:
    """A named volume (`kind` volume; without a `source` one of the container's own) or a path of the node (bind) in
    the container. `has_no_copy`: what the image has there is not copied into a new volume."""

    kind: str
    source: str
    target: str
    is_read_only: bool = False
    has_no_copy: bool = False
    propagation: str = ""


@dataclass(frozen=True)
class Tmpfs:
    """A folder in memory. 0: Docker's own default."""

    target: str
    size: int = 0
    mode: int = 0


@dataclass(frozen=True)
class Ulimit:
    """A limit of what a container's processes may use; -1: none."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True)
class Attachment:
    """What a service is in one of its networks besides its name."""

    aliases: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Healthcheck:
    """`test` as Docker takes it: (CMD, …), (CMD-SHELL, …), (NONE,), or () for the image's own. 0: Docker's own
    default."""

    test: tuple[str, ...]
    interval: float = 0.0
    timeout: float = 0.0
    start_period: float = 0.0
    retries: int = 0


@dataclass(frozen=True)
class Logging:
    """Where output goes."""

    driver: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rollout:
    """How replicas are replaced, forwards (update) or backwards (rollback)."""

    parallelism: int = 1
    delay: float = 0.0
    failure_action: str = "pause"
    monitor: float = 5.0
    order: str = "stop-first"
    max_failure_ratio: float = 0.0


@dataclass(frozen=True)
class RestartPolicy:
    """When a replica that ended is started again. `max_attempts` 0: without end."""

    condition: str = "any"
    delay: float = 5.0
    max_attempts: int = 0
    window: float = 0.0


@dataclass(frozen=True)
class Resources:
    """An amount of memory, processors, and processes with their threads; 0: none given."""

    memory: int = 0
    cpus: float = 0.0
    pids: int = 0


@dataclass(frozen=True)
class Deploy:
    """How a service is spread over the nodes. `mode`: replicated, or global (one replica a node); `labels` are the
    service's own; `spread` are node labels; `max_replicas_per_node` 0: no limit."""

    replicas: int = 1
    endpoint_mode: str = "vip"
    constraints: tuple[str, ...] = ()
    update: Rollout = Rollout()
    rollback: Rollout = Rollout()
    restart: RestartPolicy = RestartPolicy()
    limits: Resources = Resources()
    reservations: Resources = Resources()
    mode: str = "replicated"
    labels: Mapping[str, str] = field(default_factory=dict)
    spread: tuple[str, ...] = ()
    max_replicas_per_node: int = 0


@dataclass(frozen=True)
class Service:
    """One service. `entrypoint` and `command` are empty where the image's own are used; `has_init`: an init process
    takes care of orphans, None: as the engine is set; `cap_add` and `cap_drop`: Linux capabilities, as the file has
    them; `labels`: of its containers; `extra_hosts`: address by name; `attachments`: by network, where there is more
    to say than its name; `unset_environment`: names that its containers do not have, even if the image has."""

    name: str
    image: str
    command: tuple[str, ...] = ()
    user: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    networks: tuple[str, ...] = ()
    secrets: tuple[Grant, ...] = ()
    configs: tuple[Grant, ...] = ()
    mounts: tuple[Mount, ...] = ()
    tmpfs: tuple[Tmpfs, ...] = ()
    healthcheck: Healthcheck | None = None
    logging: Logging | None = None
    stop_grace_period: float = 10.0
    depends_on: tuple[str, ...] = ()
    has_init: bool | None = None
    is_read_only: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    deploy: Deploy = Deploy()
    entrypoint: tuple[str, ...] = ()
    working_dir: str = ""
    hostname: str = ""
    stop_signal: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    ulimits: tuple[Ulimit, ...] = ()
    extra_hosts: tuple[tuple[str, str], ...] = ()
    attachments: Mapping[str, Attachment] = field(default_factory=dict)
    unset_environment: tuple[str, ...] = ()

    @property
    def replicas(self) -> int:
        return self.deploy.replicas


@dataclass(frozen=True)
class Network:
    """A network between containers, also across nodes. `engine_name`: where the file gives it a name of its own;
    one that is external is there already."""

    name: str
    driver: str = "overlay"
    is_attachable: bool = False
    is_internal: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    engine_name: str = ""
    is_external: bool = False

    def name_in(self, stack: str) -> str:
        """Its name on the engine."""
        return self.engine_name or f"{stack}_{self.name}"


@dataclass(frozen=True)
class Volume:
    """A named volume; the engine makes it when a container needs it. One that is external is there already."""

    name: str
    driver: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    engine_name: str = ""
    is_external: bool = False

    @property
    def is_shared(self) -> bool:
        """Whether it is the same data on every node, so that its service may run on any."""
        return self.driver not in ("", "local") or self.options.get("type", "") in ("nfs", "nfs4", "cifs")

    def name_in(self, stack: str) -> str:
        """Its name on the engine."""
        return self.engine_name or f"{stack}_{self.name}"


@dataclass(frozen=True)
class Config:
    """A file that services get; `content` is what it says."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Secret:
    """A secret that is there already, under `external_name`."""

    name: str
    external_name: str


@dataclass(frozen=True)
class ComposeFile:
    """The whole file. Every network, volume, config and secret that a service names is in it."""

    services: Mapping[str, Service]
    networks: Mapping[str, Network]
    volumes: Mapping[str, Volume]
    configs: Mapping[str, Config]
    secrets: Mapping[str, Secret]
