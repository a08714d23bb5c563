"""Callback URLs: the receiver that one names, and what of one may be shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes, urlsplit

from swarmfn.wire.addresses import join_address

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class CallbackUrl:
    """An absolute http or https URL, taken apart.

    host: in lower case, an IPv6 address without brackets; port: the scheme's own unless the URL has one; authority:
    what a Host header says; path, query: as they stand there; login: user and password with a colon between them,
    None without any.
    """

    is_tls: bool
    host: str
    port: int
    authority: str
    path: str
    query: str
    login: bytes | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """host:port, as connections are opened to."""
        return join_address(self.host, self.port)


def parse_callback_url(url: str) -> CallbackUrl:
    """Raises ValueError, which begins with the URL, for what names no receiver."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise ValueError(f"{url[:200]!r} is not a URL ({exc})") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{url[:200]!r} is not an absolute http or https URL")
    if port == 0:
        raise ValueError(f"{url[:200]!r} cannot be called")
    login, at, authority = parts.netloc.rpartition("@")
    return CallbackUrl(
        is_tls=parts.scheme == "https",
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        authority=authority,
        path=parts.path,
        query=parts.query,
        login=_decoded(login) if at else None,
    )


def _decoded(login: str) -> bytes:
    user, _, password = login.partition(":")
    return unquote_to_bytes(user) + b":" + unquote_to_bytes(password)


def origin_of(url: str) -> str:
    """Scheme and host: what anybody may see of a URL. Path or query hold the receiver's secret (Slack, Discord, …)."""
    scheme, mark, authority, _ = _split(url)
    return f"{scheme}{mark}{authority}"


def without_credentials(url: str) -> str:
    """`url` without its user and password, which nobody is shown."""
    return "".join(_split(url))


def _split(url: str) -> tuple[str, str, str, str]:
    """Scheme, "://", host and port, and the rest, of anything that may be stored as a URL."""
    scheme, mark, rest = url.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    return scheme, mark, authority.rpartition("@")[2], rest[len(authority) :]
