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


@dataclass(frozen=True)
class Mount:
    """A named volume (`kind` volume) or a path of the node (bind) in the container."""

    kind: str
    source: str
    target: str
    is_read_only: bool = False


@dataclass(frozen=True)
class Healthcheck:
    """`test` as Docker takes it: (CMD, …), (CMD-SHELL, …) or (NONE,). 0: Docker's own default."""

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
    """How a service is spread over the nodes."""

    replicas: int = 1
    endpoint_mode: str = "vip"
    constraints: tuple[str, ...] = ()
    update: Rollout = Rollout()
    rollback: Rollout = Rollout()
    restart: RestartPolicy = RestartPolicy()
    limits: Resources = Resources()
    reservations: Resources = Resources()


@dataclass(frozen=True)
class Service:
    """One service. `command` is empty where the image's own is used; `has_init`: an init process takes care of
    orphans; `cap_add` and `cap_drop`: Linux capabilities, without CAP_ before them."""

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
    tmpfs: tuple[str, ...] = ()
    healthcheck: Healthcheck | None = None
    logging: Logging | None = None
    stop_grace_period: float = 10.0
    depends_on: tuple[str, ...] = ()
    has_init: bool = False
    is_read_only: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    deploy: Deploy = Deploy()

    @property
    def replicas(self) -> int:
        return self.deploy.replicas


@dataclass(frozen=True)
class Network:
    """A network between containers, also across nodes."""

    name: str
    driver: str = "overlay"
    is_attachable: bool = False
    is_internal: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


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
    volumes: tuple[str, ...]
    configs: Mapping[str, Config]
    secrets: Mapping[str, Secret]
