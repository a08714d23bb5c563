"""Everything that is not an invocation goes to the Flask app, which listens on loopback: one more upstream."""

from __future__ import annotations

from gateway.api.clients import PEER
from gateway.fastlane.app import send_as_it_comes, send_whole
from gateway.fastlane.exchange import Exchange
from gateway.invoke.forwarding import end_to_end
from gateway.invoke.incoming import SMALL_BODY, Body, RawHeaders
from swarmfn.upstream import Broken, NotSent, Response, Upstream, request_head

_NOT_READY = b"the management part of the gateway does not answer; try again shortly.\n"
_CANNOT_BE_PASSED_ON = b"the request cannot be passed on.\n"


class FlaskProxy:
    """Passes requests on to `address` (host:port), without a time limit of its own: log streams and held requests live
    as long as both sides want. `peer_secret` goes along with each client's address."""

    def __init__(self, upstream: Upstream, address: str, peer_secret: str) -> None:
        self._upstream = upstream
        self._address = address
        self._peer_secret = peer_secret

    async def __call__(self, exchange: Exchange) -> None:
        try:
            response = await self._exchange(exchange)
        except (NotSent, Broken):
            await send_whole(exchange, 503, [(b"Content-Type", b"text/plain"), (b"Retry-After", b"1")], _NOT_READY)
            return
        except ValueError:  # of request_head
            await send_whole(exchange, 400, [(b"Content-Type", b"text/plain")], _CANNOT_BE_PASSED_ON)
            return
        try:
            await send_as_it_comes(exchange, response.status, end_to_end(response.headers), response.chunks())
        finally:
            response.abort()

    async def _exchange(self, exchange: Exchange) -> Response:
        length = exchange.length
        if length is not None and length <= SMALL_BODY:
            body: Body = b"".join([piece async for piece in exchange.pieces()])
        else:
            body = exchange.pieces()
        headers: RawHeaders = [pair for pair in end_to_end(exchange.headers) if pair[0] not in _NOT_PASSED_ON]
        headers.append((_PEER, f"{self._peer_secret} {exchange.client}".encode()))
        is_chunked = not isinstance(body, bytes) and length is None
        if is_chunked:
            headers.append((b"transfer-encoding", b"chunked"))
        else:
            headers.append((b"content-length", b"%d" % (length or 0)))
        target = exchange.path + (b"?" + exchange.query if exchange.query else b"")
        # The Host the client named goes on: pages compare it with the Origin a browser sends.
        host = next((value.decode("latin-1") for name, value in exchange.headers if name == b"host"), "")
        head = request_head(exchange.method, target, host or self._address, headers)
        return await self._upstream.exchange(
            self._address, head, body, method_is_head=exchange.method == "HEAD", chunked=is_chunked
        )


_PEER = PEER.encode()
_NOT_PASSED_ON = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect", _PEER.lower()})
