"""Which callback URLs are accepted."""

from __future__ import annotations

from urllib.parse import urlsplit

from swarmfn.wire.errors import InvalidRequest
from swarmfn.wire.headers import CALLBACK_URL

_MAX_URL = 8192


def check_callback(url: str) -> None:
    """Raises InvalidRequest unless `url` is an absolute http(s) URL."""
    problem = _problem(url)
    if problem:
        raise InvalidRequest(
            f"{CALLBACK_URL}: {problem}.", "Send an absolute URL such as http://gateway:8080/function/NAME."
        )


def _problem(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        return f"{url[:200]!r} is not a URL ({exc})"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return f"{url[:200]!r} is not an absolute http or https URL"
    if port == 0 or len(url) > _MAX_URL:
        return f"{url[:200]!r} cannot be called"
    if not all("!" <= char <= "~" for char in url):
        return f"{url[:200]!r} holds characters that must be percent-encoded"
    if "@" in parts.netloc:
        return "user names and passwords in the URL are not supported"
    return ""
