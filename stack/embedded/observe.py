"""The state of the embedded stack, gathered without changing anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stack.chosen_files import files_of
from stack.credentials import Credentials, read_credentials
from stack.embedded.client import ServiceState, SupervisorClient
from stack.embedded.engine import checks_of
from stack.embedded.readiness import ReadinessChecks
from stack.embedded.records import Records
from stack.embedded.services import reachable
from stack.errors import StackError
from stack.gateway_client import GatewayClient
from stack.posture import NOTHING_KNOWN, read_posture
from stack.state import StateDirectory
from stack.status import FunctionLine, ServiceLine, StackStatus, make_line

UNSUPERVISED = "not supervised: run `up` to look after it again"


def observe(state: StateDirectory, root: Path) -> StackStatus:
    """The status now. Never raises for a stack that is down, half down or hanging."""
    settings, credentials = state.settings(), read_credentials(state)
    address = reachable(settings, settings.managing_port)
    supervisor = SupervisorClient(state, root)
    pid = supervisor.pid() if state.exists() else None
    services: Sequence[ServiceLine] = ()
    functions: Sequence[FunctionLine] = ()
    if pid is not None and credentials is not None:
        checks = checks_of(settings, credentials)
        services = [_line(service, checks) for service in supervisor.services().values()]
        functions = _functions(address, credentials)
    elif state.exists():
        services = [
            make_line(spec.name, "running", process.pid, process.began(), 0, UNSUPERVISED)
            for spec, process in Records(state.run / "services").running()
        ]
    urls = (f"http://{reachable(settings)}", f"http://{address}")
    posture = read_posture(address, credentials) if pid is not None else NOTHING_KNOWN
    files = [] if state.is_unused() else [str(file) for file in files_of(settings.compose_files, root)]
    return StackStatus(*urls, str(state.root), pid, services, functions, posture, files)


def _line(service: ServiceState, checks: ReadinessChecks) -> ServiceLine:
    check: Callable[[int], str] = {"redis": checks.redis_server, "gateway": checks.gateway}.get(
        service.name, checks.worker
    )
    problem = check(service.pid) if service.pid is not None else f"it ended: {service.last_end}"
    return make_line(service.name, service.state, service.pid, service.since, service.restarts, problem)


def _functions(address: str, credentials: Credentials) -> list[FunctionLine]:
    try:
        with GatewayClient(address, credentials) as gateway:
            statuses = gateway.functions()
    except StackError:
        return []
    return [
        FunctionLine(name, status["availableReplicas"], status["replicas"], status.get("problem", ""))
        for name, status in sorted(statuses.items())
    ]
