"""What is there, for people and for machines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from stack.posture import NOTHING_KNOWN, Posture
from stack.tables import brief, table
from swarmfn.wire.durations import format_duration


class Status(Protocol):
    """What an engine knows of a stack."""

    @property
    def is_healthy(self) -> bool:
        """Every service is as it should be; functions do not count."""

    def to_json(self) -> dict[str, Any]:
        """For machines."""

    def rendered(self) -> str:
        """The tables that `status` prints."""


@dataclass(frozen=True)
class ServiceLine:
    """One service. `problem` says why it is not ready ("" when it is); `uptime` is in seconds."""

    name: str
    state: str
    pid: int | None
    uptime: float
    restarts: int
    problem: str


@dataclass(frozen=True)
class FunctionLine:
    """One function: healthy replicas out of those wanted."""

    name: str
    available: int
    replicas: int
    problem: str


@dataclass(frozen=True)
class StackStatus:
    """The stack of one state directory. `url` is the gateway's, `management_url` the same unless management has a port
    of its own; without `supervisor_pid` nothing is supervised. compose_files: what describes the stack, in order."""

    url: str
    management_url: str
    state_dir: str
    supervisor_pid: int | None
    services: Sequence[ServiceLine]
    functions: Sequence[FunctionLine]
    posture: Posture = NOTHING_KNOWN
    compose_files: Sequence[str] = ()

    @property
    def is_healthy(self) -> bool:
        """Every service runs and is ready; functions do not count."""
        return bool(self.services) and not any(service.problem for service in self.services)

    def to_json(self) -> dict[str, Any]:
        return {"healthy": self.is_healthy, **with_posture(asdict(self))}

    def rendered(self) -> str:
        """The tables that `status` prints."""
        return render(self)


def make_line(name: str, state: str, pid: int | None, since: float, restarts: int, problem: str) -> ServiceLine:
    """A service's line as of now."""
    return ServiceLine(name, state, pid, round(max(0.0, time.time() - since), 1), restarts, problem)


def render(status: StackStatus) -> str:
    """The tables that `status` prints."""
    if not status.services:
        return f"nothing is running in {status.state_dir}"
    services = [("SERVICE", "STATE", "PID", "UPTIME", "RESTARTS", "PROBLEM")]
    services += [
        (
            line.name,
            line.state,
            str(line.pid or "-"),
            format_duration(int(line.uptime)),
            str(line.restarts),
            brief(line.problem),
        )
        for line in status.services
    ]
    supervisor = status.supervisor_pid or "-"
    head = f"{where(status.url, status.management_url)}   state {status.state_dir}   supervisor {supervisor}"
    parts = [head + made_from(status.compose_files), table(services)]
    if status.functions:
        functions = [("FUNCTION", "REPLICAS", "PROBLEM")]
        functions += [
            (line.name, f"{line.available}/{line.replicas}", brief(line.problem)) for line in status.functions
        ]
        parts.append(table(functions))
    return "\n\n".join([*parts, *status.posture.parts()])


def where(url: str, management_url: str) -> str:
    """The gateway's addresses, for a line of `status`."""
    return f"gateway {url}" + (f"   management {management_url}" if management_url != url else "")


def made_from(compose_files: Sequence[str]) -> str:
    """A second line of `status`; "" where nobody here knows."""
    return f"\nmade from {', '.join(compose_files)}" if compose_files else ""


def with_posture(document: dict[str, Any]) -> dict[str, Any]:
    """A status for machines, with what the gateway says of itself beside the rest."""
    return {**document, **document.pop("posture")}
