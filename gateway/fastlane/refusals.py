"""Why a connection's requests are not read any further, as its client is told."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from gateway.connection_limiter import TOO_MANY_CONNECTIONS
from swarmfn.wire.request_heads import BadRequest


@dataclass(frozen=True)
class Refusal:
    """status: with its phrase; headers: whole lines."""

    status: bytes
    text: bytes
    headers: bytes = b""

    def answer(self) -> bytes:
        return (
            b"HTTP/1.1 %b\r\nContent-Type: text/plain; charset=utf-8\r\nX-OpenFaaS-Internal: gateway\r\n"
            b"%bConnection: close\r\nContent-Length: %d\r\n\r\n%b"
            % (self.status, self.headers, len(self.text), self.text)
        )


class Refused(Exception):
    """Raised where the parser calls, which hands it on as the cause of an error of its own."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal


MALFORMED = Refusal(b"400 Bad Request", b"the request is not proper HTTP/1.1.\n")
ENDLESS = Refusal(b"400 Bad Request", b"the trailers or a chunk's extensions are too long.\n")
TOO_SLOW = Refusal(b"408 Request Timeout", b"the request did not arrive in time (read_timeout).\n")
TOO_LARGE = Refusal(b"431 Request Header Fields Too Large", b"the request's headers are too large.\n")
TOO_MANY = Refusal(b"503 Service Unavailable", TOO_MANY_CONNECTIONS.encode() + b"\n", b"Retry-After: 1\r\n")


def refusal_for(cause: BaseException | None) -> Refusal:
    """For what stopped the parser: `cause`, or what it found itself."""
    if isinstance(cause, Refused):
        return cause.refusal
    if isinstance(cause, BadRequest):
        status = f"{cause.status} {HTTPStatus(cause.status).phrase}"
        return Refusal(status.encode(), f"{cause.reason}.\n".encode())
    return MALFORMED
