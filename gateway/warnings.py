"""What an operator should know about how open this gateway is."""

from __future__ import annotations

from ipaddress import ip_address

from gateway.settings import Settings
from swarmfn.wire.callback_guard import OFF
from swarmfn.wire.replicas import ReplicaTable

_MOST_OF_FUNCTIONS = 20


def warnings_of(settings: Settings) -> list[str]:
    """A sentence for each door that the settings leave open."""
    found = []
    if not settings.basic_auth:
        found.append("anyone who reaches the gateway may deploy functions, and so run programs here: basic_auth is off")
    if not _is_loopback(settings.listen_address) and not settings.trusted_proxies:
        found.append(
            "calls and passwords cross the network unencrypted: the gateway is open to other machines, and "
            "trusted_proxies names no TLS proxy in front of it"
        )
    if settings.callback_guard.mode == OFF:
        found.append(
            "anyone who may call functions can make the platform send requests into its own network: "
            "callback_guard is off"
        )
    return found


def warnings_of_functions(table: ReplicaTable) -> list[str]:
    """A sentence for each label, annotation and variable of a function that has no effect; not endlessly many."""
    found = [f"function {name}: {warning}" for name, route in table.items() for warning in route.policy.warnings]
    more = len(found) - _MOST_OF_FUNCTIONS
    return found if more <= 0 else [*found[:_MOST_OF_FUNCTIONS], f"and {more} more about functions, in the log"]


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
