"""What a function's container may not do, and how much it may take, unless its description says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from swarmfn.provider.swarm.documents import Amounts, ContainerSpec
from swarmfn.wire.errors import InvalidFunction
from swarmfn.wire.functions import DROP_ANNOTATION

ALL, MOST, NONE = "all", "most", "none"
DROPS = (MOST, ALL, NONE)

NEEDED = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")
"""Capabilities that ordinary images need to start as root and go on as somebody else."""

_NO_NEW_PRIVILEGES_SINCE = (1, 46)


@dataclass(frozen=True)
class Hardening:
    """drop: which capabilities are taken away, all, most of them (all but NEEDED) or none beyond Docker's own choice;
    pids, memory (bytes), cpus: limits of each replica, 0 for none. They stand behind a function's own limits."""

    drop: str = MOST
    pids: int = 2048
    memory: int = 2**30
    cpus: float = 0.0


DEFAULTS = Hardening()


def offers_no_new_privileges(api_version: str) -> bool:
    """Whether an engine takes that for services. Older ones would ignore the word."""
    return tuple(int(part) for part in api_version.split(".")) >= _NO_NEW_PRIVILEGES_SINCE


def check_drop(annotations: Mapping[str, str]) -> None:
    """Raises InvalidFunction. A function can give up more than the operator asks for, not less."""
    if annotations.get(DROP_ANNOTATION, ALL) != ALL:
        raise InvalidFunction("annotations", f'{DROP_ANNOTATION} can be "{ALL}" only.')


def take_privileges(
    container: ContainerSpec, hardening: Hardening, annotations: Mapping[str, str], with_no_new_privileges: bool
) -> None:
    """Puts into a container's specification what takes privileges away from it."""
    container["Init"] = True
    drop = annotations.get(DROP_ANNOTATION, hardening.drop)
    if drop != NONE:
        container["CapabilityDrop"] = ["ALL"]
    if drop == MOST:
        container["CapabilityAdd"] = [f"CAP_{name}" for name in NEEDED]
    if with_no_new_privileges:
        container["Privileges"] = {"NoNewPrivileges": True}


def with_default_limits(hardening: Hardening, limits: Amounts, reserved: Amounts) -> Amounts:
    """A function's own `limits`, and those that stand behind them. No limit is below what the function reserves: the
    engine would refuse it."""
    found: Amounts = {}
    if hardening.memory:
        found["MemoryBytes"] = max(hardening.memory, reserved.get("MemoryBytes", 0))
    if hardening.cpus:
        found["NanoCPUs"] = max(round(hardening.cpus * 1e9), reserved.get("NanoCPUs", 0))
    if hardening.pids:
        found["Pids"] = hardening.pids
    return {**found, **limits}
