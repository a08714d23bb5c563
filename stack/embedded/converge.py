"""Making what runs equal to what is wanted, and waiting until it is ready."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stack.embedded.client import ServiceState, SupervisorClient
from stack.embedded.log_files import last_lines
from stack.embedded.plan import Plan, make_plan
from stack.embedded.spec import ServiceSpec
from stack.errors import DeployFailed

READY_TIMEOUT = 60.0
_HOPELESS_AFTER = 3
_REFUSED = "exit code 2"
"""How a program ends that cannot use its settings; it would end so again."""

_REPORT_INTERVAL = 5.0
_STOP_TIMEOUT = 90.0


@dataclass(frozen=True)
class DesiredService:
    """A service and its check, which takes the pid and says what is still missing ("" once it is ready)."""

    spec: ServiceSpec
    missing: Callable[[int], str]


def converge(
    supervisor: SupervisorClient,
    stages: Sequence[Sequence[DesiredService]],
    say: Callable[[str], None],
    timeout: float = READY_TIMEOUT,
) -> Plan:
    """Stops, starts and replaces only what differs, and waits until every service is ready.

    The services of a stage start together, once those of the stage before are ready. Returns what was done. Raises
    DeployFailed, with the end of the log, for a service that does not get ready.
    """
    present = {name: service.fingerprint for name, service in supervisor.services().items()}
    plan = make_plan([one.spec for stage in stages for one in stage], present)
    for name in plan.stop:
        say(f"{name}: stopping, no longer wanted")
        supervisor.stop(name, _STOP_TIMEOUT)
    for stage in stages:
        for one in stage:
            if one.spec.name in plan.start or one.spec.name in plan.replace:
                say(f"{one.spec.name}: {'replacing' if one.spec.name in plan.replace else 'starting'}")
                supervisor.apply(one.spec)
        for one in stage:
            ready = _wait_until_ready(supervisor, one, say, timeout)
            if one.spec.name in plan.start or one.spec.name in plan.replace:
                say(f"{one.spec.name}: ready (process {ready.pid})")
    return plan


def _wait_until_ready(
    supervisor: SupervisorClient, desired: DesiredService, say: Callable[[str], None], timeout: float
) -> ServiceState:
    name = desired.spec.name
    began = reported = time.monotonic()
    restarts_before = supervisor.services()[name].restarts
    while True:
        service = supervisor.services()[name]
        missing = f"it ended: {service.last_end}" if service.pid is None else desired.missing(service.pid)
        if not missing:
            return service
        now = time.monotonic()
        if service.restarts > restarts_before and service.last_end == _REFUSED:
            raise _failure(desired, "refuses its settings")
        if service.restarts - restarts_before >= _HOPELESS_AFTER:
            raise _failure(desired, f"ended {_HOPELESS_AFTER} times in a row: {service.last_end}")
        if now - began > timeout:
            raise _failure(desired, f"is not ready after {timeout:.0f} s: {missing}")
        if now - reported > _REPORT_INTERVAL:
            say(f"{name}: still waiting, {now - began:.0f} s: {missing}")
            reported = now
        time.sleep(0.05)


def _failure(desired: DesiredService, what: str) -> DeployFailed:
    log = Path(desired.spec.log)
    lines = "".join(f"\n  | {line}" for line in last_lines(log, 15))
    return DeployFailed(f"{desired.spec.name} {what}. The end of {log}:{lines or ' (empty)'}")
