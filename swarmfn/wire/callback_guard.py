"""Where callbacks may go: against callers who would have the platform send requests to what only it can reach
(server-side request forgery)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from swarmfn.wire.addresses import join_address
from swarmfn.wire.environment import Environment

OFF, PRIVATE, LISTED = "off", "private", "listed"
MODES = (OFF, PRIVATE, LISTED)
IN_STACK = "gateway:8080"
"""This platform's gateway, by which a callback reaches any function. It may always be named."""

OPENFAAS_NAME = "gateway.openfaas:8080"
"""What clients written for OpenFaaS on Kubernetes call it."""

CALLS = ("/function/", "/async-function/")
"""What a callback may reach of this platform's gateway, in every mode: not management."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NOT_PUBLIC: tuple[_Network, ...] = (
    ipaddress.IPv6Network("fec0::/10"),
    ipaddress.IPv6Network("3fff::/20"),
    ipaddress.IPv4Network("192.0.0.0/24"),
    ipaddress.IPv4Network("192.88.99.0/24"),
    ipaddress.IPv4Network("168.63.129.16/32"),
)
"""What Python calls global beside: site-local and documentation addresses of IPv6, those of protocols (a cloud has its
metadata there), the relays of 6to4, and the address under which Azure answers its machines."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class CallbackGuard:
    """mode: `off`, callbacks go anywhere; `private`, to public addresses; `listed`, to what is listed only. What is
    listed is allowed as well: names, which are trusted whatever they resolve to, `*.` before one for all below it, and
    networks. in_stack: `host:port` of the platform itself, always allowed."""

    mode: str = OFF
    names: frozenset[str] = frozenset()
    networks: tuple[_Network, ...] = ()
    in_stack: frozenset[str] = frozenset({IN_STACK, OPENFAAS_NAME})

    @property
    def is_on(self) -> bool:
        return self.mode != OFF

    def is_in_stack(self, host: str, port: int) -> bool:
        """Whether this names the platform's own gateway."""
        return join_address(host.lower().removesuffix("."), port) in self.in_stack

    def trusts(self, host: str, port: int) -> bool:
        """Whether a callback may go there whatever address it has."""
        # With a dot at its end it is not the name that the worker knows, but whatever the network's own DNS says.
        if not self.is_on or join_address(host.lower(), port) in self.in_stack:
            return True
        name = host.lower().removesuffix(".")
        if name in self.names:
            return True
        labels = name.split(".")
        return any(f"*.{'.'.join(labels[first:])}" in self.names for first in range(1, len(labels)))

    def permits(self, address: str) -> bool:
        """Whether a callback to a host that is not trusted may be sent to this IP address of it."""
        if not self.is_on:
            return True
        try:
            ip = _plain(ipaddress.ip_address(address))
        except ValueError:
            return False
        if any(ip in network for network in self.networks):
            return True
        is_special = ip.is_multicast or ip.is_reserved or any(ip in network for network in _NOT_PUBLIC)
        return self.mode == PRIVATE and ip.is_global and not is_special


ANYWHERE = CallbackGuard()


def read_guard(env: Environment, in_stack: frozenset[str] = frozenset()) -> CallbackGuard:
    """The guard of the settings `callback_guard` and `callback_allow`, which are those of both sides of the queue."""
    mode = env.choice("callback_guard", OFF, MODES)
    try:
        return parse_guard(mode, env.text("callback_allow"), in_stack)
    except ValueError as exc:
        env.problem("callback_allow", f'expected host names, "*.example.com" and networks, with commas; {exc}')
        return CallbackGuard(mode)


def parse_guard(mode: str, allowed: str, in_stack: frozenset[str] = frozenset()) -> CallbackGuard:
    """The guard of the settings; `allowed` is a list with commas. Raises ValueError that quotes what is wrong in it."""
    names, networks = set(), []
    for item in filter(None, (part.strip().lower() for part in allowed.split(","))):
        try:
            networks.append(ipaddress.ip_network(item, strict=False))
            continue
        except ValueError:
            pass
        name = item.removesuffix(".")
        if not _is_name(name.removeprefix("*.")):
            raise ValueError(f"{item!r:.100} is neither a host's name nor a network")
        names.add(name)
    own = frozenset({IN_STACK, OPENFAAS_NAME}) | frozenset(place.lower() for place in in_stack)
    return CallbackGuard(mode, frozenset(names), tuple(networks), own)


def _is_name(text: str) -> bool:
    labels = text.split(".")
    return len(text) < 254 and all(
        label.isascii() and label.replace("-", "").replace("_", "").isalnum() for label in labels
    )


def _plain(ip: _Address) -> _Address:
    """The IPv4 address that an IPv6 one stands for, if it stands for one."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
