"""Which callback URLs are accepted."""

from __future__ import annotations

import asyncio

from swarmfn.upstream import Names
from swarmfn.wire.addresses import is_ip_address
from swarmfn.wire.callback_guard import CALLS, CallbackGuard
from swarmfn.wire.callback_urls import CallbackUrl, parse_callback_url
from swarmfn.wire.errors import InvalidRequest
from swarmfn.wire.headers import CALLBACK_URL

_MAX_URL = 8192
_LOOKUP_TIMEOUT = 2.0


class CallbackChecks:
    """Checks callback URLs as they come in. The worker looks again when it connects."""

    def __init__(self, guard: CallbackGuard, names: Names) -> None:
        self._guard = guard
        self._names = names

    def check(self, url: str) -> None:
        """What can be told from the URL alone. Raises InvalidRequest."""
        parsed = _parsed(url)
        host, port = parsed.host, parsed.port
        if self._guard.is_in_stack(host, port) and not parsed.path.startswith(CALLS):
            raise InvalidRequest(
                f"{CALLBACK_URL}: on this platform's own gateway a callback can only call functions.",
                "Send a URL such as http://gateway:8080/function/NAME.",
            )
        if is_ip_address(host) and not self._guard.trusts(host, port) and not self._guard.permits(host):
            raise _forbidden(host)

    async def check_addresses(self, url: str) -> None:
        """What its host's name resolves to; one that does not resolve right now, or has to wait for others' names, is
        left to the worker. Raises InvalidRequest."""
        if not self._guard.is_on:
            return
        parsed = parse_callback_url(url)
        if self._guard.trusts(parsed.host, parsed.port):
            return
        try:
            async with asyncio.timeout(_LOOKUP_TIMEOUT):
                addresses = await self._names.addresses(parsed.host, waits=False)
        except (OSError, ValueError):
            return
        if not any(map(self._guard.permits, addresses)):
            raise _forbidden(parsed.host)


def _forbidden(host: str) -> InvalidRequest:
    return InvalidRequest(
        f"{CALLBACK_URL}: callbacks to {host[:200]!r} are not allowed (callback_guard).",
        "Send an address that the operator allows (callback_allow), or one of this platform's functions, such as "
        "http://gateway:8080/function/NAME.",
    )


def _parsed(url: str) -> CallbackUrl:
    """Raises InvalidRequest unless `url` is an absolute http(s) URL that can be sent to as it is."""
    try:
        parsed = parse_callback_url(url)
    except ValueError as exc:
        raise _unusable(str(exc)) from None
    if len(url) > _MAX_URL:
        raise _unusable(f"{url[:200]!r} cannot be called")
    if not all("!" <= char <= "~" for char in url):
        raise _unusable(f"{url[:200]!r} holds characters that must be percent-encoded")
    return parsed


def _unusable(problem: str) -> InvalidRequest:
    return InvalidRequest(
        f"{CALLBACK_URL}: {problem}.", "Send an absolute URL such as http://gateway:8080/function/NAME."
    )
