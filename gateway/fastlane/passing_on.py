"""Everything that is not an invocation goes to the Flask app, which listens on loopback: one more upstream."""

from __future__ import annotations

from gateway.fastlane.app import incoming_of, read_body, send_whole
from gateway.fastlane.exchange import Receive, Scope, Send
from gateway.invoke.forwarding import end_to_end
from gateway.invoke.incoming import PEER, RawHeaders
from swarmfn.upstream import Broken, NotSent, Response, Upstream, request_head

_NOT_READY = b"the management part of the gateway does not answer; try again shortly.\n"
_CANNOT_BE_PASSED_ON = b"the request cannot be passed on.\n"


class ToFlask:
    """An ASGI app that passes requests on to `address` (host:port), without a time limit of its own: log streams and
    held requests live as long as both sides want. `peer_secret` goes along with each client's address."""

    def __init__(self, upstream: Upstream, address: str, peer_secret: str) -> None:
        self._upstream = upstream
        self._address = address
        self._peer_secret = peer_secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._exchange(scope, receive)
        except (NotSent, Broken):
            await send_whole(send, 503, [(b"Content-Type", b"text/plain"), (b"Retry-After", b"1")], _NOT_READY)
            return
        except ValueError:  # of request_head
            await send_whole(send, 400, [(b"Content-Type", b"text/plain")], _CANNOT_BE_PASSED_ON)
            return
        try:
            headers = end_to_end(response.headers)
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
            await send({"type": "http.response.body", "body": b"", "more_body": True})
            async for chunk in response.chunks():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            response.abort()

    async def _exchange(self, scope: Scope, receive: Receive) -> Response:
        incoming = incoming_of(scope, ("", ""))
        body = await read_body(incoming, receive)
        headers: RawHeaders = [pair for pair in end_to_end(scope["headers"]) if pair[0] not in _NOT_PASSED_ON]
        headers.append((_PEER, f"{self._peer_secret} {incoming.client}".encode()))
        is_chunked = not isinstance(body, bytes) and incoming.length is None
        if is_chunked:
            headers.append((b"transfer-encoding", b"chunked"))
        else:
            headers.append((b"content-length", b"%d" % (incoming.length or 0)))
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        # The Host the client named goes on: pages compare it with the Origin a browser sends.
        host = incoming.header(b"host") or self._address
        head = request_head(incoming.method, target, host, headers)
        return await self._upstream.exchange(
            self._address, head, body, method_is_head=incoming.method == "HEAD", chunked=is_chunked
        )


_PEER = PEER.encode()
_NOT_PASSED_ON = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect", _PEER.lower()})
