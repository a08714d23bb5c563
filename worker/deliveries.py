"""One try at delivering a callback: the HTTP exchange with its receiver."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from swarmfn.jobs.outgoing import callback_target, offer_headers
from swarmfn.upstream import Broken, DeadlinePassed, NotPermitted, Response, Upstream, UpstreamFailure
from swarmfn.wire.callback_guard import CALLS, IN_STACK, OPENFAAS_NAME, CallbackGuard
from swarmfn.wire.callback_urls import parse_callback_url
from swarmfn.wire.headers import CALL_HOPS, MAX_HOPS, first, hops_in
from swarmfn.wire.invocations import Delivery
from swarmfn.wire.time_limits import is_about_over, says_out_of_time
from worker.decisions import Answer, Failure
from worker.exchanges import head_of, send
from worker.signatures import Signer

_READ_OF_ANSWER = 64 * 1024
"""A receiver's answer is its status. This much of a body is read only to keep the connection."""


_NOT_TAKEN = "the receiver did not take the connection in time"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where a callback goes. `address` is host:port; `host` what the Host header says; `name` and `port` what the URL
    says; `authorization` the header that its user and password become, or ""."""

    address: str
    host: str
    target: str
    is_tls: bool
    name: str
    port: int
    authorization: str = field(default="", repr=False)


def receiver_of(url: str, aliases: Mapping[str, str]) -> Receiver:
    """The receiver that `url` names; `aliases` say where a host:port really is. Raises ValueError."""
    parsed = parse_callback_url(url)
    named = IN_STACK if parsed.address == OPENFAAS_NAME else parsed.address
    return Receiver(
        address=aliases.get(named, named),
        host=parsed.authority,
        target=callback_target(parsed.path, parsed.query),
        is_tls=parsed.is_tls,
        name=parsed.host,
        port=parsed.port,
        authorization="" if parsed.login is None else f"Basic {base64.b64encode(parsed.login).decode()}",
    )


def unreached(failure: UpstreamFailure) -> tuple[str, str]:
    """Why a receiver was not reached: a word for the metric, a sentence for people."""
    cause = failure.__cause__
    if isinstance(failure, Broken):
        return "broken", "the receiver closed the connection without an answer"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "certificate", f"the receiver's certificate is not accepted ({cause.verify_message})"
    if isinstance(cause, ssl.SSLError):
        return "tls", f"no TLS connection to the receiver ({cause.reason or 'it does not speak TLS'})"
    if isinstance(cause, socket.gaierror | UnicodeError):
        return "name", "the receiver's name cannot be resolved"
    if isinstance(cause, ConnectionRefusedError):
        return "refused", "the receiver refused the connection"
    if isinstance(cause, TimeoutError):
        return "timeout", _NOT_TAKEN
    return "unreachable", "the receiver could not be reached"


class CallbackSender:
    """Offers results to callback URLs. `timeout` is for the whole exchange; `host_aliases` has lower-case keys.

    What `guard` does not trust is reached over connections of its own, each of which the guard has permitted. `close()`
    ends those; `upstream` is the caller's.
    """

    def __init__(
        self,
        upstream: Upstream,
        host_aliases: Mapping[str, str],
        timeout: float,
        signer: Signer,
        guard: CallbackGuard,
        max_hops: int = MAX_HOPS,
    ) -> None:
        self._upstream = upstream
        self._guard = guard
        self._guarded = Upstream(permits=guard.permits) if guard.is_on else upstream
        self._signer = signer
        self._aliases = host_aliases
        self._timeout = timeout
        self._max_hops = max_hops

    async def deliver(self, delivery: Delivery, body: bytes) -> Answer | Failure:
        """Offers a result to its callback URL once. Redirects are not followed. The answer has no body, and no header
        but Retry-After."""
        started = time.perf_counter()
        try:
            receiver = receiver_of(delivery.url, self._aliases)
            headers = [*offer_headers(delivery), *await self._signer.headers(body, time.time())]
            if receiver.authorization:
                headers = [(name, value) for name, value in headers if name.lower() != "authorization"]
                headers.append(("Authorization", receiver.authorization))
            head = head_of("POST", receiver.target, receiver.host, headers, len(body))
        except ValueError:
            return Failure("the callback URL or its headers cannot be sent", 0.0, is_hopeless=True)
        if problem := self._refusal(receiver, delivery):
            return Failure(problem, 0.0, is_hopeless=True)
        trusted = self._guard.trusts(receiver.name, receiver.port)
        upstream = self._upstream if trusted else self._guarded
        sending = asyncio.get_running_loop().time()
        deadline = sending + self._timeout
        try:
            response = await send(upstream, receiver.address, head, body, deadline, tls=receiver.is_tls)
        except DeadlinePassed as exc:
            return _too_slow(time.perf_counter() - started, exc.is_sent)
        except NotPermitted:
            spent = time.perf_counter() - started
            problem = "callbacks to the receiver are not allowed (callback_guard)"
            return Failure(problem, spent, is_hopeless=True, reason="guard")
        except UpstreamFailure as exc:
            if isinstance(exc, Broken) and is_about_over(asyncio.get_running_loop().time() - sending, self._timeout):
                return _too_slow(time.perf_counter() - started)
            reason, problem = unreached(exc)
            return Failure(problem, time.perf_counter() - started, reason=reason)
        waited = asyncio.get_running_loop().time() - sending
        beginning = await _drain(response)
        if says_out_of_time(response.status, beginning, waited, self._timeout):
            # A gateway, or a function, may have the same limit for its answer: it is chance who says so first.
            return _too_slow(time.perf_counter() - started)
        asked = [
            ("Retry-After", value.decode("latin-1"))
            for name, value in response.headers
            if name.lower() == b"retry-after"
        ]
        return Answer(response.status, asked, b"", time.perf_counter() - started)

    def _refusal(self, receiver: Receiver, delivery: Delivery) -> str:
        """Why this callback goes nowhere, whatever the guard; "" if it may."""
        is_ours = self._guard.is_in_stack(receiver.name, receiver.port) or receiver.address in self._aliases.values()
        if is_ours and not receiver.target.startswith(CALLS):
            return "on this platform's own gateway a callback can only call functions"
        hops = hops_in(first(delivery.headers, CALL_HOPS) or "")
        if hops > self._max_hops:
            return f"it would be callback {hops} in a row, which may be a loop (max_hops)"
        return ""

    async def close(self) -> None:
        """Ends the connections that are not the caller's."""
        if self._guarded is not self._upstream:
            await self._guarded.close()


def _too_slow(seconds: float, is_sent: bool = True) -> Failure:
    problem = "the receiver did not answer in time" if is_sent else _NOT_TAKEN
    return Failure(problem, seconds, reason="timeout")


async def _drain(response: Response) -> bytes | None:
    """Reads the rest of an answer if it is short, None if it is not. Once its head is there the callback is delivered
    or refused, whatever happens to the body."""
    try:
        body = response.complete_body()
        return await response.read(limit=_READ_OF_ANSWER) if body is None else body
    except UpstreamFailure:
        return None
    finally:
        response.abort()
