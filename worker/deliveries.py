"""One try at delivering a callback: the HTTP exchange with its receiver."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from swarmfn.jobs.outgoing import callback_target
from swarmfn.upstream import DeadlinePassed, Response, Upstream, UpstreamFailure
from swarmfn.wire.invocations import Delivery
from worker.decisions import Answer, Failure
from worker.exchanges import head_of, send
from worker.signatures import Signer

_READ_OF_ANSWER = 64 * 1024
"""A receiver's answer is its status. So much of a body is read only to keep the connection."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where a callback goes. `address` is host:port; `host` what the Host header says."""

    address: str
    host: str
    target: str
    is_tls: bool


def receiver_of(url: str, aliases: Mapping[str, str]) -> Receiver:
    """The receiver that `url` names; `aliases` say where a host:port really is. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url[:200]!r} is not an absolute http(s) URL")
    is_tls = parts.scheme == "https"
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    named = f"{name}:{parts.port or (443 if is_tls else 80)}"
    host = parts.netloc.rpartition("@")[2]
    return Receiver(aliases.get(named.lower(), named), host, callback_target(parts.path, parts.query), is_tls)


class CallbackSender:
    """Offers results to callback URLs. `timeout` is for the whole exchange; `host_aliases` has lower-case keys."""

    def __init__(self, upstream: Upstream, host_aliases: Mapping[str, str], timeout: float, signer: Signer) -> None:
        self._upstream = upstream
        self._signer = signer
        self._aliases = host_aliases
        self._timeout = timeout

    async def deliver(self, delivery: Delivery, body: bytes) -> Answer | Failure:
        """Offers a result to its callback URL once. Redirects are not followed. The answer has no body, and no header
        but Retry-After."""
        started = time.perf_counter()
        try:
            receiver = receiver_of(delivery.url, self._aliases)
            headers = [*delivery.headers, *await self._signer.headers(body, time.time())]
            head = head_of("POST", receiver.target, receiver.host, headers, len(body))
        except ValueError:
            return Failure("the callback URL or its headers cannot be sent", 0.0, is_hopeless=True)
        deadline = asyncio.get_running_loop().time() + self._timeout
        try:
            response = await send(self._upstream, receiver.address, head, body, deadline, tls=receiver.is_tls)
        except DeadlinePassed:
            return Failure("the receiver did not answer in time", time.perf_counter() - started)
        except UpstreamFailure:
            return Failure("the receiver could not be reached", time.perf_counter() - started)
        await _drain(response)
        asked = [
            ("Retry-After", value.decode("latin-1"))
            for name, value in response.headers
            if name.lower() == b"retry-after"
        ]
        return Answer(response.status, asked, b"", time.perf_counter() - started)


async def _drain(response: Response) -> None:
    """Reads the rest of an answer if it is short. Once its head is there the callback is delivered or refused,
    whatever becomes of the body."""
    try:
        if response.complete_body() is None:
            await response.read(limit=_READ_OF_ANSWER)
    except UpstreamFailure:
        pass
    finally:
        response.abort()
