"""docker-py's client of the Docker Engine's API, as far as it is used here: it comes without types of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol, TypedDict

import docker

from swarmfn.provider.swarm.documents import (
    ConfigDocument,
    ImageDocument,
    ImageSummary,
    Labels,
    NetworkDocument,
    NodeDocument,
    SecretDocument,
    ServiceDocument,
    TaskDocument,
)

Filters = Mapping[str, str | Sequence[str]]


class Created(TypedDict):
    """What the engine answers when it has made a secret or config."""

    ID: str


class CreatedNetwork(TypedDict):
    Id: str


class HealthCheckResult(TypedDict, total=False):
    ExitCode: int
    Output: str


class HealthDocument(TypedDict, total=False):
    Log: list[HealthCheckResult] | None


class ContainerState(TypedDict, total=False):
    Health: HealthDocument | None


class ContainerDocument(TypedDict):
    State: ContainerState


class ContainerSummary(TypedDict):
    """A container as the engine lists it."""

    Names: list[str]
    Labels: Labels


class EventActor(TypedDict):
    Attributes: dict[str, str]


class ContainerEvent(TypedDict):
    Actor: EventActor


class VolumeDocument(TypedDict):
    Name: str


class Volumes(TypedDict):
    Volumes: list[VolumeDocument] | None


class OrchestrationConfig(TypedDict, total=False):
    TaskHistoryRetentionLimit: int


class SwarmSpec(TypedDict, total=False):
    Orchestration: OrchestrationConfig | None


class SwarmDocument(TypedDict):
    Spec: SwarmSpec


class TransferAux(TypedDict, total=False):
    Digest: str


class TransferEntry(TypedDict, total=False):
    """One line of what the engine tells while it builds, pulls or pushes."""

    id: str
    status: str
    progress: str
    stream: str
    error: str
    aux: TransferAux | None


class EngineApi(Protocol):
    """Every method may raise what `engine_client.engine_errors` translates."""

    # Services and tasks.
    def services(self, filters: Filters | None = None) -> list[ServiceDocument]: ...
    def inspect_service(self, service: str) -> ServiceDocument: ...
    def create_service(self, task_template: object, name: str, **parts: object) -> object: ...
    def update_service(self, service: str, version: int, **parts: object) -> object: ...
    def remove_service(self, service: str) -> object: ...
    def tasks(self, filters: Filters | None = None) -> list[TaskDocument]: ...
    def inspect_task(self, task: str) -> TaskDocument: ...
    def service_logs(
        self,
        service: str,
        *,
        is_tty: bool,
        stdout: bool = ...,
        stderr: bool = ...,
        tail: int = ...,
        follow: bool = ...,
        details: bool = ...,
        timestamps: bool = ...,
        since: float = ...,
    ) -> Iterable[bytes]: ...

    # What services refer to.
    def networks(self, filters: Filters | None = None) -> list[NetworkDocument]: ...
    def create_network(
        self,
        name: str,
        driver: str,
        options: Mapping[str, str] | None,
        check_duplicate: bool,
        internal: bool,
        attachable: bool,
        labels: Labels,
        scope: str,
    ) -> CreatedNetwork: ...
    def remove_network(self, network: str) -> object: ...
    def configs(self, filters: Filters | None = None) -> list[ConfigDocument]: ...
    def create_config(self, name: str, data: bytes, labels: Labels) -> Created: ...
    def remove_config(self, config: str) -> object: ...
    def secrets(self, filters: Filters | None = None) -> list[SecretDocument]: ...
    def create_secret(self, name: str, data: bytes, labels: Labels) -> Created: ...
    def remove_secret(self, secret: str) -> object: ...
    def volumes(self, filters: Filters) -> Volumes: ...
    def remove_volume(self, volume: str) -> object: ...

    # Nodes.
    def nodes(self) -> list[NodeDocument]: ...
    def inspect_swarm(self) -> SwarmDocument: ...

    # Images and containers of this engine.
    def images(self) -> list[ImageSummary]: ...
    def inspect_image(self, image: str) -> ImageDocument: ...
    def remove_image(self, image: str, force: bool) -> object: ...
    def tag(self, image: str, repository: str, tag: str, force: bool) -> object: ...
    def pull(
        self, repository: str, tag: str, stream: Literal[True], decode: Literal[True]
    ) -> Iterable[TransferEntry]: ...
    def push(
        self, repository: str, tag: str, stream: Literal[True], decode: Literal[True]
    ) -> Iterable[TransferEntry]: ...
    def build(self, **parts: object) -> Iterable[TransferEntry]: ...
    def containers(self, filters: Filters) -> list[ContainerSummary]: ...
    def inspect_container(self, container: str) -> ContainerDocument: ...
    def logs(self, container: str, *, stdout: bool, stderr: bool, tail: int) -> bytes: ...
    def events(self, since: int, until: float, filters: Filters, decode: Literal[True]) -> Iterable[ContainerEvent]: ...


def api_of(client: docker.DockerClient) -> EngineApi:
    """What `client` works with."""
    api: EngineApi = client.api
    return api
