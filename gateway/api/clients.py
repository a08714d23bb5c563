"""Where a request of the management side comes from, through the fast lane and the proxies that are trusted."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from flask import request

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_SITE = 64
"""Bits of an IPv6 address that a provider gives to one customer (RFC 6177); the rest is the customer's to choose."""


def client_of_request(peer_header: str, peer_secret: str, trusted: Sequence[Network]) -> Callable[[], str]:
    """A function that names the present request's client.

    The fast lane, which passes requests on, tells its peer in `peer_header`, together with `peer_secret`: nobody else
    is believed. Proxies in a `trusted` network are believed what they say in X-Forwarded-For.
    """

    def client() -> str:
        said, _, address = request.headers.get(peer_header, "").partition(" ")
        is_ours = hmac.compare_digest(said.encode("latin-1"), peer_secret.encode())
        peer = address if is_ours else request.remote_addr or ""
        return through_proxies(peer, request.headers.getlist("X-Forwarded-For"), trusted)

    return client


def through_proxies(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """The first address on the way back from us that is no trusted proxy's, as text; `peer` where nobody is trusted.

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
