"""Functions as Swarm's services describe them, also services that faas-swarm or a person made."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from swarmfn.provider.swarm.documents import Amounts, ServiceDocument, ServiceMode, ServiceSpec, TaskTemplate
from swarmfn.provider.swarm.references import without_digest
from swarmfn.provider.swarm.templates import plain
from swarmfn.wire.errors import FaasError
from swarmfn.wire.functions import FunctionSpec, Resources
from swarmfn.wire.names import function_name
from swarmfn.wire.swarm_labels import (
    ANNOTATION_PREFIX,
    CREATED_LABEL,
    EXEC_TIMEOUT_LABEL,
    FUNCTION_LABEL,
    IMAGE_LABEL,
    INTERNAL_PREFIX,
    IS_FUNCTION,
    IS_FUNCTION_LABEL,
    IS_OWN_LOGIN,
    OWN_LOGIN_LABEL,
    SPEC_LABEL,
)

logger = logging.getLogger(__name__)

_FAILED_UPDATES = frozenset({"paused", "rollback_started", "rollback_paused", "rollback_completed"})


@dataclass(frozen=True)
class Update:
    """The last change of a service. `started` tells it from every other one."""

    state: str = ""
    started: str = ""
    message: str = ""

    @property
    def is_running(self) -> bool:
        return self.state == "updating"

    @property
    def has_failed(self) -> bool:
        return self.state in _FAILED_UPDATES

    @property
    def is_going_back(self) -> bool:
        """It has failed, and what was before is not back yet."""
        return self.state == "rollback_started"


NO_UPDATE = Update()


@dataclass(frozen=True)
class Deployed:
    """One function and its service. `replicas` is None for a service that runs one task on every node; `image_identity`
    is what its image's name stood for when it was deployed, "" if that is not known; `has_own_login`: it came with one
    for its image's registry; `template` is what its tasks are made from."""

    function: FunctionSpec
    service_id: str
    service_name: str
    replicas: int | None
    created_at: str
    exec_timeout: float
    networks: tuple[str, ...]
    update: Update = NO_UPDATE
    image_identity: str = ""
    has_own_login: bool = False
    template: TaskTemplate | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        return self.function.name


def deployed_functions(services: Iterable[ServiceDocument], default_exec_timeout: float) -> dict[str, Deployed]:
    """By name, of all `services` (as the engine lists them) that are functions.

    Where two services claim a name, the one called so is meant, else the older.
    """
    found: dict[str, Deployed] = {}
    for service in sorted(services, key=lambda service: str(service.get("CreatedAt", ""))):
        try:
            deployed = deployed_function(service, default_exec_timeout)
        except (FaasError, ValueError, KeyError, TypeError, AttributeError) as exc:
            name = service.get("Spec", {}).get("Name", "?")
            logger.debug("the service %s is labelled as a function but is not one: %r", name, exc)
            continue
        present = found.get(deployed.name)
        if present is None or (deployed.service_name == deployed.name != present.service_name):
            found[deployed.name] = deployed
    return found


def deployed_function(service: ServiceDocument, default_exec_timeout: float) -> Deployed:
    """The function that `service` is. Raises a FaasError or ValueError if it cannot be one."""
    spec = service["Spec"]
    labels = spec.get("Labels") or {}
    name = function_name(labels.get(FUNCTION_LABEL) or spec["Name"])
    function = _function(name, spec, labels)
    update = service.get("UpdateStatus") or {}
    networks = spec["TaskTemplate"].get("Networks") or spec.get("Networks") or []
    return Deployed(
        function=function,
        service_id=service["ID"],
        service_name=spec["Name"],
        replicas=_replicas(spec.get("Mode") or {}),
        created_at=labels.get(CREATED_LABEL) or _whole_seconds(service.get("CreatedAt", "")),
        exec_timeout=_exec_timeout(function, labels, default_exec_timeout),
        networks=tuple(network["Target"] for network in networks),
        update=Update(update.get("State", ""), update.get("StartedAt", ""), update.get("Message", "")),
        image_identity=labels.get(IMAGE_LABEL, ""),
        has_own_login=labels.get(OWN_LOGIN_LABEL) == IS_OWN_LOGIN,
        template=spec["TaskTemplate"],
    )


def _function(name: str, spec: ServiceSpec, labels: Mapping[str, str]) -> FunctionSpec:
    """As it was deployed, unless the service was changed since by other hands, which then count."""
    seen = _seen(name, spec, labels)
    try:
        stored = FunctionSpec.from_json(json.loads(labels[SPEC_LABEL]))
    except (KeyError, ValueError, FaasError):
        return seen
    if stored.name != name:
        return seen
    # `docker service update --image` is how people without a client of ours roll a function.
    return stored if without_digest(stored.image) == seen.image else replace(stored, image=seen.image)


def _seen(name: str, spec: ServiceSpec, labels: Mapping[str, str]) -> FunctionSpec:
    task = spec["TaskTemplate"]
    container = task["ContainerSpec"]
    entries = (entry.partition("=")[::2] for entry in container.get("Env") or [])
    environment = {variable: plain(value) for variable, value in entries}
    resources = task.get("Resources") or {}
    return FunctionSpec(
        name=name,
        image=without_digest(container["Image"]),
        env_process=environment.pop("fprocess", ""),
        env_vars=environment,
        labels={key: value for key, value in labels.items() if _is_own(key, value)},
        annotations={
            key.removeprefix(ANNOTATION_PREFIX): value
            for key, value in labels.items()
            if key.startswith(ANNOTATION_PREFIX)
        },
        secrets=tuple(secret["SecretName"] for secret in container.get("Secrets") or []),
        constraints=tuple((task.get("Placement") or {}).get("Constraints") or ()),
        limits=_amounts(resources.get("Limits")),
        requests=_amounts(resources.get("Reservations")),
        read_only_root=bool(container.get("ReadOnly")),
    )


def _is_own(label: str, value: str) -> bool:
    if label == FUNCTION_LABEL or (label, value) == (IS_FUNCTION_LABEL, IS_FUNCTION):
        return False
    return not label.startswith((INTERNAL_PREFIX, ANNOTATION_PREFIX))


def _amounts(found: Amounts | None) -> Resources:
    found = found or {}
    memory, cpu = found.get("MemoryBytes"), found.get("NanoCPUs")
    return Resources(memory=str(memory) if memory else "", cpu=f"{cpu / 1e9:g}" if cpu else "")


def _replicas(mode: ServiceMode) -> int | None:
    if "Replicated" in mode:
        return int((mode["Replicated"] or {}).get("Replicas") or 0)
    if "Global" in mode:
        return None
    raise ValueError("it is a job that ends")


def _exec_timeout(function: FunctionSpec, labels: Mapping[str, str], default: float) -> float:
    try:
        seconds = float(labels[EXEC_TIMEOUT_LABEL])
    except (KeyError, ValueError):
        seconds = 0.0
    return seconds if 0 < seconds < float("inf") else function.exec_timeout({}, default)


def _whole_seconds(time: str) -> str:
    """The engine's times have nanoseconds, which not every client can read."""
    return time.partition(".")[0].removesuffix("Z") + "Z" if time else ""
