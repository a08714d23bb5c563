"""The way to a Docker Engine: found, checked, and its errors said as ours."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import docker
import requests
import urllib3
from docker import errors as docker_errors
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.credentials import StoreError

from stack.errors import NoEngine, StackError

DEFAULT_SOCKET = "unix:///var/run/docker.sock"

ANSWER_TIMEOUT = 60
"""Seconds for one answer. A busy engine takes its time to start a service; one that hangs is to be noticed."""

GONE = (docker_errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError)
"""What docker-py raises when the engine is gone; the last one when it goes in the middle of a stream."""

_FIRST_ANSWER_TIMEOUT = 10
_READY_STATES = ("active",)


class NotInSwarm(NoEngine):
    """The engine answers and is in no swarm."""


class NotAManager(NoEngine):
    """The engine is in a swarm, as a worker or locked: it cannot be told to run services."""


@dataclass(frozen=True)
class SwarmState:
    """What an engine says of its swarm. `state` is Docker's word (inactive, pending, active, error, locked)."""

    state: str
    is_manager: bool
    node_id: str
    node_name: str
    address: str
    managers: tuple[str, ...] = ()
    error: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether services can be run through this engine."""
        return self.state in _READY_STATES and self.is_manager


def engine_host(variables: Mapping[str, str]) -> str:
    """Where the engine is looked for, as in DOCKER_HOST."""
    return variables.get("DOCKER_HOST") or DEFAULT_SOCKET


def connect(variables: Mapping[str, str], timeout: int = ANSWER_TIMEOUT) -> docker.DockerClient:
    """A client of the engine that DOCKER_HOST (DOCKER_TLS_VERIFY, DOCKER_CERT_PATH) names, which has answered.

    Raises NoEngine, which says what is wrong: nothing there, no permission, no answer. The caller closes the client.
    """
    host = engine_host(variables)
    first = min(timeout, _FIRST_ANSWER_TIMEOUT)
    try:
        version = _api_version(host, dict(variables), first)
        return docker.from_env(version=version, timeout=timeout, environment=dict(variables))
    except (docker_errors.DockerException, requests.RequestException, OSError, ValueError) as exc:
        raise NoEngine(_no_engine(host, exc, first)) from exc


def _api_version(host: str, variables: dict[str, str], timeout: int) -> str:
    if host.startswith("unix://"):
        # docker-py leaves its socket open when connecting fails, and wraps the reason several times.
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(timeout)
            probe.connect(host.removeprefix("unix://"))
    # The version is asked for without one: engines refuse those that are too old or too new for them.
    client = docker.from_env(version=DEFAULT_DOCKER_API_VERSION, timeout=timeout, environment=variables)
    with contextlib.closing(client):
        return str(client.api.version(api_version=False)["ApiVersion"])


@contextlib.contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Anything that the engine refuses or fails at inside becomes a StackError: `cannot {what}: …`."""
    try:
        yield
    except docker_errors.APIError as exc:
        raise StackError(f"cannot {what}: {explanation(exc)}") from exc
    except requests.Timeout as exc:
        raise StackError(f"cannot {what}: the Docker Engine does not answer in time. Does it hang?") from exc
    except docker_errors.DockerException as exc:
        # Docker's configuration names a program that knows the logins, and it is not there, or fails.
        if isinstance(exc.__cause__, StoreError):
            raise StackError(f"cannot {what}: cannot get the login: {exc.__cause__}") from exc
        raise StackError(f"cannot {what}: the Docker Engine is gone: {_innermost(exc)}") from exc
    except GONE as exc:
        raise StackError(f"cannot {what}: the Docker Engine is gone: {_innermost(exc)}") from exc


def explanation(error: docker_errors.APIError) -> str:
    """The engine's own words."""
    text = error.explanation or str(error)
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text)


def swarm_state(client: docker.DockerClient) -> SwarmState:
    """The engine's place in a swarm now."""
    with engine_errors("ask for the state of the swarm"):
        return read_state(client.info())


def read_state(info: Mapping[str, Any]) -> SwarmState:
    """The state in what the engine answers to GET /info."""
    swarm = info.get("Swarm") or {}
    return SwarmState(
        state=swarm.get("LocalNodeState") or "inactive",
        is_manager=bool(swarm.get("ControlAvailable")),
        node_id=swarm.get("NodeID") or "",
        node_name=info.get("Name") or "",
        address=swarm.get("NodeAddr") or "",
        managers=tuple(manager.get("Addr", "") for manager in swarm.get("RemoteManagers") or ()),
        error=swarm.get("Error") or "",
    )


def require_manager(client: docker.DockerClient) -> SwarmState:
    """The state, where services can be run through this engine. Raises NotInSwarm or NotAManager, which say what helps
    (exit code 3)."""
    state = swarm_state(client)
    if not state.is_ready:
        raise _not_ready(state)
    return state


def init_swarm(client: docker.DockerClient, advertise_address: str = "") -> SwarmState:
    """Makes the engine the manager of a new swarm; where it manages one already, nothing is done.

    Other nodes join at `advertise_address`. Without one, Docker chooses the machine's only address; where there are
    several, that of the default route is taken for a local engine. Raises StackError.
    """
    state = swarm_state(client)
    if state.is_ready:
        return state
    if state.state != "inactive":
        raise _not_ready(state)
    with engine_errors("make this engine a swarm"):
        try:
            _init(client, advertise_address)
        except docker_errors.APIError as exc:
            if not _is_ambiguous(exc) or advertise_address:
                raise
            address = _own_address() if _is_local(client) else ""
            if not address:
                raise StackError(
                    f"cannot make this engine a swarm: {explanation(exc)}. "
                    "`docker swarm init --advertise-addr ADDRESS` on its machine says which one other nodes may use."
                ) from exc
            _init(client, address)
    return require_manager(client)


def _init(client: docker.DockerClient, advertise_address: str) -> None:
    client.swarm.init(advertise_addr=advertise_address or None, listen_addr="0.0.0.0:2377")


def _is_ambiguous(error: docker_errors.APIError) -> bool:
    return "could not choose an IP address" in explanation(error)


def _is_local(client: docker.DockerClient) -> bool:
    # docker-py calls a socket of this machine `http+docker://localhost`.
    return str(client.api.base_url).startswith("http+docker:")


def _own_address() -> str:
    """This machine's address on the default route; "" where there is none. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return ""


def _not_ready(state: SwarmState) -> NoEngine:
    if state.state == "inactive":
        return NotInSwarm(
            "a Docker Engine answers, but it is not in a swarm. "
            "`up --init-swarm` makes it a swarm of one node (as `docker swarm init` does); "
            "`--engine local` runs everything as local processes instead."
        )
    if state.state == "locked":
        return NotAManager("the swarm is locked: `docker swarm unlock` with its key, then try again.")
    if state.state != "active":
        reason = f": {state.error}" if state.error else ""
        return NotAManager(f"this node's swarm is not usable (state {state.state}){reason}. See `docker info`.")
    if state.error:
        return NotAManager(f"this node's swarm is in trouble: {state.error} See `docker info`.")
    managers = ", ".join(state.managers) or "unknown"
    return NotAManager(
        "this engine is a worker of its swarm, and only managers run services. "
        f"Run the command on a manager, or point DOCKER_HOST at one (managers: {managers})."
    )


def _no_engine(host: str, error: Exception, timeout: int) -> str:
    inner = _innermost(error)
    if isinstance(inner, PermissionError):
        return (
            f"no permission to use the Docker Engine at {host}. "
            "Run the command as root or as a member of the group `docker`."
        )
    if isinstance(inner, (FileNotFoundError, ConnectionRefusedError)):
        return f"no Docker Engine answers at {host}. Is Docker running? DOCKER_HOST names another one."
    if isinstance(inner, TimeoutError) or isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"the Docker Engine at {host} does not answer within {timeout} s. Does it hang?"
    return f"the Docker Engine at {host} cannot be used: {inner}"


def _innermost(error: BaseException) -> BaseException:
    """What an exception is about: libraries wrap the system's errors several times, as causes or as arguments."""
    seen = {id(error)}
    while True:
        candidates = [*error.args, getattr(error, "reason", None), error.__cause__, error.__context__]
        inner = next((one for one in candidates if isinstance(one, BaseException) and id(one) not in seen), None)
        if inner is None:
            return error
        seen.add(id(inner))
        error = inner
