"""The services of one stack on the engine: listed, created, updated, removed."""

from __future__ import annotations

from dataclasses import dataclass

import docker
from docker import errors as docker_errors

from stack.swarm.engine_api import api_of
from stack.swarm.engine_client import engine_errors, explanation
from stack.swarm.tasks import Task, read_tasks
from swarmfn.provider.swarm.documents import ServiceDocument, ServiceSpec
from swarmfn.wire.swarm_labels import STACK_LABEL

_TRIES = 5
_USUAL_HISTORY = 5


@dataclass(frozen=True)
class Present:
    """A service as the engine has it. `update_state` is Docker's word for the latest update, "" for none."""

    id: str
    version: int
    spec: ServiceSpec
    update_state: str


class StackServices:
    """Everything by the service's name on the engine. Every method may raise StackError."""

    def __init__(self, client: docker.DockerClient, stack: str) -> None:
        self._api = api_of(client)
        self._stack = stack

    def present(self) -> dict[str, Present]:
        """The stack's services; functions are not among them."""
        with engine_errors("list the services"):
            entries = self._api.services(filters={"label": [f"{STACK_LABEL}={self._stack}"]})
        return {entry["Spec"]["Name"]: _present(entry) for entry in entries}

    def find(self, name: str) -> Present | None:
        """Any service of the swarm, ours or not."""
        with engine_errors(f"look up the service {name}"):
            try:
                return _present(self._api.inspect_service(name))
            except docker_errors.NotFound:
                return None

    def create(self, spec: ServiceSpec) -> None:
        with engine_errors(f"create the service {spec['Name']}"):
            self._api.create_service(name=spec["Name"], **_arguments(spec), endpoint_spec=spec.get("EndpointSpec"))

    def update(self, spec: ServiceSpec) -> None:
        """Gives the service of that name the specification, whatever it has now."""
        name = spec["Name"]
        for attempt in range(_TRIES):
            found = self.find(name)
            if found is None:
                return self.create(spec)
            with engine_errors(f"update the service {name}"):
                try:
                    self._api.update_service(
                        found.id, found.version, name=name, **_arguments(spec), endpoint_spec=spec.get("EndpointSpec")
                    )
                    return None
                except docker_errors.APIError as exc:
                    # Swarm changes the version itself, as when it notes how an update goes.
                    if attempt == _TRIES - 1 or "out of sequence" not in explanation(exc):
                        raise
        return None

    def remove(self, name: str) -> None:
        """Tells Swarm to end it; its replicas are still finishing what they run when this returns."""
        with engine_errors(f"remove the service {name}"):
            try:
                self._api.remove_service(name)
            except docker_errors.NotFound:
                return

    def tasks(self, service_id: str = "") -> list[Task]:
        """The service's tasks, or those of every service, also of removed ones. The newest first."""
        with engine_errors("list the tasks"):
            entries = self._api.tasks(filters={"service": service_id} if service_id else {})
        return read_tasks(entries)

    def task_history(self) -> int:
        """How many tasks of a replica the swarm keeps."""
        with engine_errors("ask for the settings of the swarm"):
            orchestration = self._api.inspect_swarm()["Spec"].get("Orchestration") or {}
        return int(orchestration.get("TaskHistoryRetentionLimit", _USUAL_HISTORY))

    def ready_nodes(self) -> set[str]:
        """The ids of the nodes that take part."""
        with engine_errors("list the nodes"):
            entries = self._api.nodes()
        return {entry["ID"] for entry in entries if (entry.get("Status") or {}).get("State") == "ready"}


def _present(entry: ServiceDocument) -> Present:
    update = entry.get("UpdateStatus") or {}
    return Present(entry["ID"], entry["Version"]["Index"], entry["Spec"], update.get("State", ""))


def _arguments(spec: ServiceSpec) -> dict[str, object]:
    return {
        "task_template": spec["TaskTemplate"],
        "labels": spec.get("Labels"),
        "mode": spec.get("Mode"),
        "update_config": spec.get("UpdateConfig"),
        "rollback_config": spec.get("RollbackConfig"),
    }
