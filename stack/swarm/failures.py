"""Why a service does not run, for the one who has to do something about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import docker
from docker import errors as docker_errors

from stack.swarm.engine_client import GONE
from stack.swarm.tasks import Task

_LINES = 15
_LONGEST_LINE = 400


class FailureReports:
    """Puts together what Swarm says, what the health check said, and the end of the log."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._api: Any = client.api

    def describe(self, spec: Mapping[str, Any], reason: str, task: Task | None) -> str:
        """One message. `task` is the attempt that failed; without one there is no log."""
        said = self._health_check_output(task) if task is not None else ""
        # A program that ends well when it is told to leaves no word of why it was told to.
        is_unhealthy = said and "unhealthy" not in reason
        parts = [f"{spec['Name']}: {'unhealthy: ' if is_unhealthy else ''}{reason}"]
        if hint := hint_for(reason, spec):
            parts[0] += f". {hint}"
        if said:
            parts.append(f"Its health check said: {said}")
        if task is not None:
            lines = self._log(task)
            parts.append("The end of its log:" + ("".join(f"\n  | {line}" for line in lines) or " (empty)"))
        return "\n".join(parts)

    def _health_check_output(self, task: Task) -> str:
        try:
            state = self._api.inspect_container(task.container)["State"] if task.container else {}
        except GONE:
            return ""
        checks = (state.get("Health") or {}).get("Log") or []
        failed = [check for check in checks if check.get("ExitCode") != 0]
        return str(failed[-1].get("Output", "")).strip()[-_LONGEST_LINE:] if failed else ""

    def _log(self, task: Task) -> list[str]:
        """From the container where it is on this node, else through Swarm, which knows only of whole services."""
        options = {"stdout": True, "stderr": True, "tail": _LINES}
        try:
            text = self._api.logs(task.container, **options) if task.container else b""
        except docker_errors.NotFound:
            text = self._service_log(task, options)
        except GONE:
            return []
        return [line[:_LONGEST_LINE] for line in text.decode(errors="replace").splitlines()[-_LINES:]]

    def _service_log(self, task: Task, options: Mapping[str, Any]) -> bytes:
        try:
            return b"".join(self._api.service_logs(task.service_id, is_tty=False, **options))
        except GONE:
            return b""


def _port_hint(ports: Sequence[int]) -> str:
    if len(ports) > 1:  # the engine does not say which
        listed = " or ".join(map(str, ports))
        return f"Port {listed} of the node is in use. Choose others with --port and --management-port"
    named = f"Port {ports[0]}" if ports else "A port"
    return f"{named} of the node is in use. Choose another, such as --port {ports[0] + 1 if ports else 9000}"


def hint_for(reason: str, spec: Mapping[str, Any]) -> str:
    """What helps, as far as the reason tells; else ""."""
    container = spec["TaskTemplate"]["ContainerSpec"]
    if "No such image" in reason or "pull access denied" in reason or "manifest unknown" in reason:
        return f"The node has no image {container['Image']} and cannot pull it"
    if "port already in use" in reason or "port is already allocated" in reason or "address already in use" in reason:
        return _port_hint([port["PublishedPort"] for port in (spec.get("EndpointSpec") or {}).get("Ports") or []])
    if "scheduling constraints not satisfied" in reason:
        constraints = (spec["TaskTemplate"].get("Placement") or {}).get("Constraints") or []
        return f"No node fulfils {', '.join(constraints)}. `docker node ls` lists the nodes"
    if "insufficient resources" in reason:
        return "No node has that much memory or that many processors to spare"
    if "non-zero exit (2)" in reason:
        return "It refuses its settings"
    return ""
