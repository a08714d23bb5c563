"""Why a service does not run, for the one who has to do something about it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import docker
from docker import errors as docker_errors

from stack.swarm.engine_api import api_of
from stack.swarm.engine_client import GONE
from stack.swarm.tasks import Task, with_exit
from swarmfn.provider.swarm.documents import ServiceSpec

_REMEMBERED = 60
"""Seconds; the engine remembers its latest events."""

_NOTHING: tuple[str, list[str]] = ("", [])
_LINES = 15
_LONGEST_LINE = 400


class FailureReports:
    """Puts together what Swarm says, what the health check said, and the end of the log."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._api = api_of(client)
        self._kept: dict[str, tuple[str, list[str]]] = {}
        self._exits: dict[str, int | None] = {}

    def keep(self, tasks: Iterable[Task]) -> None:
        """Reads at once what `describe` will say of these: their containers are soon gone."""
        for task in tasks:
            if task.id not in self._kept:
                self._kept[task.id] = self._what_it_said(task)

    def with_exits(self, tasks: Iterable[Task]) -> list[Task]:
        """Those that Swarm has forgotten, with how they ended, where that was on this engine's node."""
        return [with_exit(task, self._exit(task)) if task.has_failed else task for task in tasks]

    def _exit(self, task: Task) -> int | None:
        if not task.is_forgotten:
            return None
        if task.id not in self._exits:
            now = time.time()
            filters = {"type": "container", "event": "die", "label": f"com.docker.swarm.task.id={task.id}"}
            try:
                events = list(self._api.events(since=int(now - _REMEMBERED), until=now, filters=filters, decode=True))
            except GONE:
                events = []
            found = [event["Actor"]["Attributes"].get("exitCode", "") for event in events]
            self._exits[task.id] = next((int(status) for status in found if status.isdigit()), None)
        return self._exits[task.id]

    def describe(self, spec: ServiceSpec, reason: str, task: Task | None) -> str:
        """One message. `task` is the attempt that failed; without one there is no log."""
        said, lines = _NOTHING
        if task is not None:
            said, lines = self._kept.get(task.id) or self._what_it_said(task)
        # A program that ends well when it is told to leaves no word of why it was told to.
        is_unhealthy = said and "unhealthy" not in reason
        image = spec["TaskTemplate"]["ContainerSpec"]["Image"]
        is_unknown = (task is None or task.is_forgotten) and "No such image" not in reason
        if is_unknown and self._is_missing(image):
            reason = f"{reason}. No such image: {image}, on this node at least"
        parts = [f"{spec['Name']}: {'unhealthy: ' if is_unhealthy else ''}{reason}"]
        if hint := hint_for(reason, spec):
            parts[0] += f". {hint}"
        if said:
            parts.append(f"Its health check said: {said}")
        if task is not None:
            parts.append("The end of its log:" + ("".join(f"\n  | {line}" for line in lines) or " (empty)"))
        return "\n".join(parts)

    def _is_missing(self, image: str) -> bool:
        try:
            self._api.inspect_image(image)
        except docker_errors.NotFound:
            return True
        except GONE:
            return False
        return False

    def _what_it_said(self, task: Task) -> tuple[str, list[str]]:
        return self._health_check_output(task), self._log(task)

    def _health_check_output(self, task: Task) -> str:
        try:
            if not task.container:
                return ""
            state = self._api.inspect_container(task.container)["State"]
        except GONE:
            return ""
        checks = (state.get("Health") or {}).get("Log") or []
        failed = [check for check in checks if check.get("ExitCode") != 0]
        return str(failed[-1].get("Output", "")).strip()[-_LONGEST_LINE:] if failed else ""

    def _log(self, task: Task) -> list[str]:
        """From the container where it is on this node, else through Swarm, which knows only of whole services."""
        text = b""
        try:
            if task.container:
                text = self._api.logs(task.container, stdout=True, stderr=True, tail=_LINES)
        except docker_errors.NotFound:
            text = self._service_log(task)
        except GONE:
            return []
        return [line[:_LONGEST_LINE] for line in text.decode(errors="replace").splitlines()[-_LINES:]]

    def _service_log(self, task: Task) -> bytes:
        try:
            chunks = self._api.service_logs(task.service_id, is_tty=False, stdout=True, stderr=True, tail=_LINES)
            return b"".join(chunks)
        except GONE:
            return b""


def _port_hint(ports: Sequence[int]) -> str:
    if len(ports) > 1:  # the engine does not say which
        listed = " or ".join(map(str, ports))
        return f"Port {listed} of the node is in use. Choose others with --port and --management-port"
    named = f"Port {ports[0]}" if ports else "A port"
    return f"{named} of the node is in use. Choose another, such as --port {ports[0] + 1 if ports else 9000}"


def hint_for(reason: str, spec: ServiceSpec) -> str:
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
