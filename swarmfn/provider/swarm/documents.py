"""The Docker Engine's documents, as far as this platform reads and writes them, by the names of the engine's API.

What the engine leaves out, or sends as null, is read with `.get(…) or …`. Times are RFC 3339 with nanoseconds;
durations are in nanoseconds.
"""

from __future__ import annotations

from typing import NotRequired, Required, TypedDict

Labels = dict[str, str]


class Amounts(TypedDict, total=False):
    """What a container may take, or has reserved."""

    MemoryBytes: int
    NanoCPUs: int
    Pids: int


class ResourceRequirements(TypedDict, total=False):
    Limits: Amounts
    Reservations: Amounts


class FileTarget(TypedDict):
    """Where a secret or config is in a container, and whose it is there."""

    Name: str
    UID: str
    GID: str
    Mode: int


class SecretGrant(TypedDict):
    SecretID: str
    SecretName: str
    File: FileTarget


class ConfigGrant(TypedDict):
    ConfigID: str
    ConfigName: str
    File: FileTarget


class DriverConfig(TypedDict):
    """Of a volume or a log."""

    Name: str
    Options: dict[str, str]


class BindOptions(TypedDict):
    Propagation: str


class VolumeOptions(TypedDict, total=False):
    NoCopy: bool
    Labels: Labels
    DriverConfig: DriverConfig


class TmpfsOptions(TypedDict, total=False):
    SizeBytes: int
    Mode: int


class MountSpec(TypedDict, total=False):
    Type: Required[str]
    Source: str
    Target: Required[str]
    ReadOnly: bool
    BindOptions: BindOptions
    VolumeOptions: VolumeOptions
    TmpfsOptions: TmpfsOptions


class HealthcheckSpec(TypedDict, total=False):
    """What is missing is the image's."""

    Test: list[str]
    Interval: int
    Timeout: int
    StartPeriod: int
    Retries: int


class DnsConfig(TypedDict, total=False):
    Nameservers: list[str]
    Search: list[str]


class UlimitSpec(TypedDict):
    Name: str
    Soft: int
    Hard: int


class PrivilegesSpec(TypedDict):
    NoNewPrivileges: bool


class ContainerSpec(TypedDict, total=False):
    Image: Required[str]
    Labels: Labels
    Command: list[str]
    Args: list[str]
    Env: list[str]
    User: str
    Dir: str
    Hostname: str
    StopSignal: str
    StopGracePeriod: int
    ReadOnly: bool
    Mounts: list[MountSpec]
    Secrets: list[SecretGrant]
    Configs: list[ConfigGrant]
    Healthcheck: HealthcheckSpec
    DNSConfig: DnsConfig
    Sysctls: dict[str, str]
    Ulimits: list[UlimitSpec]
    Hosts: list[str]
    TTY: bool
    Init: bool
    CapabilityAdd: list[str]
    CapabilityDrop: list[str]
    Privileges: PrivilegesSpec


class RestartPolicy(TypedDict, total=False):
    Condition: Required[str]
    Delay: int
    MaxAttempts: int
    Window: int


class SpreadOver(TypedDict):
    SpreadDescriptor: str


class PlacementPreference(TypedDict):
    Spread: SpreadOver


class PlacementSpec(TypedDict, total=False):
    Constraints: list[str]
    Preferences: list[PlacementPreference]
    MaxReplicas: int


class NetworkAttachment(TypedDict, total=False):
    """In a specification."""

    Target: Required[str]
    Aliases: list[str]
    DriverOpts: dict[str, str]


class AttachedContainer(TypedDict):
    """Swarm has a task without a service for a container that somebody attached to a network by hand."""

    ContainerID: str


class TaskTemplate(TypedDict, total=False):
    """What the tasks of a service are made from."""

    ContainerSpec: Required[ContainerSpec]
    Resources: ResourceRequirements
    RestartPolicy: RestartPolicy
    Placement: PlacementSpec
    Networks: list[NetworkAttachment]
    LogDriver: DriverConfig
    ForceUpdate: int
    Runtime: str
    NetworkAttachmentSpec: AttachedContainer


class ReplicatedMode(TypedDict, total=False):
    Replicas: int


class ServiceMode(TypedDict, total=False):
    """One of them; others are jobs, which end."""

    Replicated: ReplicatedMode
    Global: dict[str, object]


class RolloutConfig(TypedDict, total=False):
    """Of updates, and of what takes them back."""

    Parallelism: int
    Delay: int
    FailureAction: str
    Monitor: int
    MaxFailureRatio: float
    Order: str


class PortConfig(TypedDict):
    Protocol: str
    TargetPort: int
    PublishedPort: int
    PublishMode: str


class EndpointSpec(TypedDict, total=False):
    Mode: str
    Ports: list[PortConfig]


class ServiceSpec(TypedDict, total=False):
    Name: Required[str]
    Labels: Labels
    TaskTemplate: Required[TaskTemplate]
    Mode: ServiceMode
    UpdateConfig: RolloutConfig
    RollbackConfig: RolloutConfig
    EndpointSpec: EndpointSpec
    Networks: list[NetworkAttachment]
    """Where clients of old put what belongs into the template."""


class ObjectVersion(TypedDict):
    Index: int


class UpdateStatus(TypedDict, total=False):
    State: str
    StartedAt: str
    Message: str


class ServiceDocument(TypedDict):
    """A service as the engine lists it."""

    ID: str
    Version: ObjectVersion
    CreatedAt: NotRequired[str]
    Spec: ServiceSpec
    PreviousSpec: NotRequired[ServiceSpec | None]
    UpdateStatus: NotRequired[UpdateStatus | None]


class ContainerStatus(TypedDict, total=False):
    ContainerID: str
    ExitCode: int


class TaskStatus(TypedDict, total=False):
    Timestamp: str
    State: str
    Err: str
    ContainerStatus: ContainerStatus | None


class NetworkSpec(TypedDict, total=False):
    Name: str
    Labels: Labels | None
    Ingress: bool


class AttachedNetwork(TypedDict, total=False):
    ID: str
    Spec: NetworkSpec | None


class TaskAttachment(TypedDict, total=False):
    """Of a task to a network; addresses with their prefix."""

    Network: AttachedNetwork | None
    Addresses: list[str] | None


class TaskDocument(TypedDict):
    ID: str
    CreatedAt: NotRequired[str]
    Spec: NotRequired[TaskTemplate]
    ServiceID: NotRequired[str]
    Slot: NotRequired[int]
    NodeID: NotRequired[str]
    Status: NotRequired[TaskStatus | None]
    DesiredState: NotRequired[str]
    NetworksAttachments: NotRequired[list[TaskAttachment] | None]


class NodeStatus(TypedDict, total=False):
    State: str
    Addr: str


class NodeDescription(TypedDict, total=False):
    Hostname: str


class NodeSpec(TypedDict, total=False):
    Availability: str


class NodeDocument(TypedDict):
    ID: str
    Spec: NotRequired[NodeSpec | None]
    Description: NotRequired[NodeDescription | None]
    Status: NotRequired[NodeStatus | None]


class NetworkDocument(TypedDict):
    Id: str
    Name: str
    Driver: NotRequired[str]
    Internal: NotRequired[bool]
    Attachable: NotRequired[bool]
    Labels: NotRequired[Labels | None]
    Options: NotRequired[dict[str, str] | None]


class ObjectSpec(TypedDict):
    """Of a secret or config; a secret's data is never given back."""

    Name: str
    Labels: NotRequired[Labels | None]
    Data: NotRequired[str]


class ConfigDocument(TypedDict):
    ID: str
    Spec: ObjectSpec


class SecretDocument(TypedDict):
    ID: str
    Spec: ObjectSpec


class ImageConfig(TypedDict, total=False):
    Env: list[str] | None


class ImageDocument(TypedDict):
    Id: str
    RepoDigests: NotRequired[list[str] | None]
    Config: NotRequired[ImageConfig | None]


class ImageSummary(TypedDict):
    """An image as the engine lists it."""

    Id: str
    RepoTags: NotRequired[list[str] | None]
    Labels: NotRequired[Labels | None]
