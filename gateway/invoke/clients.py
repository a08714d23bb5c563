"""Which client an address stands for: through the proxies that are trusted, and with all that is one customer's."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_SITE = 64
"""Bits of an IPv6 address that a provider gives to one customer (RFC 6177); the rest is the customer's to choose."""


def through_proxies(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """The first address on the way back from us that is not a trusted proxy's, as text; `peer` where nobody is trusted.

    What stands further left in X-Forwarded-For is the client's own word.
    """
    way = [part.strip() for header in forwarded_for for part in header.split(",")]
    nearest = peer
    for said in [peer, *reversed(way)]:
        address = _read(said)
        if address is None:
            break
        nearest = str(address)
        if not any(address in network for network in trusted):
            break
    return nearest


def neighbourhood(address: str) -> str:
    """What counts as one client: an IPv4 address, or the 64 first bits of an IPv6 address."""
    read = _read(address)
    if isinstance(read, IPv6Address):
        return str(ip_network((read, _SITE), strict=False))
    return address


def _read(text: str) -> Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    """Whether `address` is in one of these networks."""
    read = _read(address)
    return read is not None and any(read in network for network in trusted)
