"""Where this machine reaches the gateway of a stack on a Swarm."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from stack.credentials import Credentials
from stack.errors import StackError
from stack.gateway_client import ANSWER_TIMEOUT, GatewayClient
from stack.swarm.engine_client import engine_host
from swarmfn.provider.swarm.documents import NodeDocument
from swarmfn.wire.addresses import join_address, parse_engine_address

PATIENCE = 20.0
_POLL = 0.3
_GLANCE = 2.0


def candidates(variables: Mapping[str, str], own_node: str, gateway_node: NodeDocument, port: int) -> list[str]:
    """host:port in the order to try them. `gateway_node` is the gateway's node as the engine lists it.

    A port in host mode is published by the gateway's own node only: the engine's machine where that is the one, else
    the address under which the node takes part in the swarm.
    """
    hosts = []
    if gateway_node.get("ID") == own_node:
        hosts.append(_engines_machine(engine_host(variables)) or "127.0.0.1")
    if address := (gateway_node.get("Status") or {}).get("Addr"):
        hosts.append(address)
    return [join_address(host, port) for host in dict.fromkeys(hosts)]


def _engines_machine(engine: str) -> str:
    try:
        return parse_engine_address(engine)
    except ValueError:
        return ""  # whatever it is, docker-py has found the engine with it


def reach_gateway(addresses: Callable[[], Sequence[str]], credentials: Credentials, patience: float = PATIENCE) -> str:
    """The first address where a gateway lets us in with our credentials: another stack's would not. Raises StackError
    when there is none."""
    deadline = time.monotonic() + patience
    while True:
        problems = []
        for address in addresses():
            problem = _problem(address, credentials)
            if not problem:
                return address
            problems.append(problem)
        if time.monotonic() > deadline:
            raise StackError(_unreachable(problems))
        time.sleep(_POLL)


def likely_address(addresses: Sequence[str], credentials: Credentials | None) -> str | None:
    """Where the gateway can be reached as far as a quick look tells: the first address that lets us in, else the first
    of all; None when there is none."""
    if credentials is not None and len(addresses) > 1:
        for address in addresses:
            if not _problem(address, credentials, _GLANCE):
                return address
    return next(iter(addresses), None)


def _problem(address: str, credentials: Credentials, timeout: float = ANSWER_TIMEOUT) -> str:
    with GatewayClient(address, credentials, timeout) as gateway:
        try:
            gateway.check_access()
        except StackError as exc:
            return str(exc)
    return ""


def _unreachable(problems: Iterable[str]) -> str:
    listed = "".join(f"\n  {problem}" for problem in problems)
    return f"the stack runs, but its gateway cannot be reached from here:{listed or ' no node runs it.'}"
