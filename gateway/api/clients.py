"""Where a request of the management side comes from, through the fast lane and the proxies that are trusted."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence

from flask import request

from gateway.invoke.clients import Network, through_proxies

PEER = "X-Swarmfn-Peer"
"""The header in which the fast lane tells this app who its client is, after a secret that the two share."""


def client_of_request(peer_secret: str, trusted: Sequence[Network]) -> Callable[[], str]:
    """A function that names the present request's client.

    The fast lane, which passes requests on, tells its peer in PEER, together with `peer_secret`: nobody else is
    believed. Proxies in a `trusted` network are believed what they say in X-Forwarded-For.
    """

    def client() -> str:
        said, _, address = request.headers.get(PEER, "").partition(" ")
        is_ours = hmac.compare_digest(said.encode("latin-1"), peer_secret.encode())
        peer = address if is_ours else request.remote_addr or ""
        return through_proxies(peer, request.headers.getlist("X-Forwarded-For"), trusted)

    return client
