"""Reading a request: by the rules of the other servers, within their limits, answered by its head where it can be."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

from waitress.adjustments import Adjustments
from waitress.buffers import OverflowableBuffer
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import FixedStreamReceiver
from waitress.utilities import BadRequest, Error

from gateway.api.head_checks import Refusal, Verdict
from gateway.connection_limiter import TOO_MANY_CONNECTIONS, is_reserved_for
from gateway.invoke.body_budget import BodyBudget, Held
from gateway.invoke.incoming import SMALL_BODY
from swarmfn.wire import request_heads
from swarmfn.wire.chunks import ChunkedDecoder
from swarmfn.wire.errors import Unavailable
from swarmfn.wire.request_heads import RequestHead, parse_head

_END_OF_HEAD = b"\r\n\r\n"


class NoRoom(Error):  # type: ignore[misc]
    code = 503
    reason = "Service Unavailable"


class AnsweredByHead(Error):  # type: ignore[misc]
    """A request whose head was enough."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__("")
        self.refusal = refusal


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """waitress's parser, which reads nothing but what `parse_head` has found to be in order."""

    path = command = ""
    """Until its head has been read; waitress's words on a client that left name the path."""
    body_rcv: Any = None
    chunked = keep_alive = False
    content_length = 0
    _refusal: Error | None = None

    def __init__(
        self,
        adj: Adjustments,
        judge: Callable[[Parser, int], Verdict],
        peer: str = "",
        spool: BodyBudget | None = None,
        is_reserved: bool = False,
    ) -> None:
        super().__init__(adj)
        self._judge = judge
        self._verdict: Verdict | None = None
        self._peer = peer
        self._spool = spool
        self._is_reserved = is_reserved
        self._held: Held | None = None

    def received(self, data: bytes) -> int:
        if self.body_rcv is None and (self.header_plus + data).lstrip(b"\r\n")[:1].isspace():
            # waitress would take it away before the head is looked at.
            self.error, self.completed = BadRequest("The request line is malformed"), True
            return len(data)
        consumed: int = super().received(data)
        if self._refusal is not None:
            self.error = self._refusal
        # A small body is taken even if it is for nothing: the connection can go on after the answer.
        if self.error is None and (self.chunked or self.content_length > SMALL_BODY):
            self._be_judged()
        if self.error is None and self.headers_finished and not self.empty:
            try:
                self._find_room()
            except Unavailable as exc:
                self._refuse(exc)
        if self.completed:
            # waitress would ask for a body that is not to come, and wait for it.
            self.expect_continue = False
        return consumed

    def _find_room(self) -> None:
        """Raises Unavailable."""
        if self._is_reserved:
            self.keep_alive = False
            if not is_reserved_for(self.path):
                raise Unavailable(TOO_MANY_CONNECTIONS)
        size = max(self.content_length, self.body_bytes_received)
        if self._spool is not None and size:
            if self._held is None:
                self._held = self._spool.hold(self._peer, 0, [self.headers.get("X_FORWARDED_FOR", "")])
            self._held.grow_to(size)

    def _be_judged(self) -> None:
        """By the head, before anything of the body is taken, and again when the body turns out to be too large."""
        size = self.body_rcv.__len__()
        most = None if self._verdict is None else self._verdict.max_body
        if self._verdict is None or (most is not None and size > most):
            self._verdict = self._judge(self, size)
        if self._verdict.refusal is not None:
            self.error = AnsweredByHead(self._verdict.refusal)
            self.completed = True

    def _refuse(self, reason: Unavailable) -> None:
        self.error = NoRoom(str(reason).removesuffix("."))
        self.error.retry_after = reason.retry_after
        self.completed = True

    def close(self) -> None:
        super().close()
        if self._held is not None:
            self._held.release()

    def parse_header(self, header_plus: bytes) -> None:
        if not header_plus.endswith(_END_OF_HEAD):
            super().parse_header(header_plus)  # what waitress puts in the place of a head that is too large
            return
        try:
            head = parse_head(header_plus.removesuffix(_END_OF_HEAD))
        except request_heads.BadRequest as exc:
            self._refusal = Error(exc.reason)
            self._refusal.code, self._refusal.reason = exc.status, HTTPStatus(exc.status).phrase
            raise ParsingError(exc.reason) from exc
        self._take(head)

    def _take(self, head: RequestHead) -> None:
        """Sets what waitress's parser would, without reading the head once more."""
        self.keep_alive = head.keep_alive
        self.connection_close = not head.keep_alive
        self.command, self.request_uri = head.method, head.target
        self.version = "1.1" if head.is_http_1_1 else "1.0"
        self.url_scheme = self.adj.url_scheme
        path, _, self.query = head.target.partition("#")[0].partition("?")
        self.path = unquote_to_bytes(path).decode("latin-1") if "%" in path else path
        headers = self.headers
        for name, value in head.headers:
            if "_" not in name:  # it would be taken for the one with a "-" (CGI's names)
                key = name.upper().replace("-", "_")
                headers[key] = f"{headers[key]}, {value}" if key in headers else value
        self.expect_continue = head.expects_continue
        if head.length is None:
            # A receiver of the whole body: the application reads one that has a length.
            del headers["TRANSFER_ENCODING"]
            self.chunked = True
            self.body_rcv = _ChunkedBody(OverflowableBuffer(self.adj.inbuf_overflow))
        elif head.length:
            self.content_length = head.length
            self.body_rcv = FixedStreamReceiver(head.length, OverflowableBuffer(self.adj.inbuf_overflow))


class _ChunkedBody:
    """waitress's receiver of a chunked body, by the rules of the other servers and within their limits."""

    def __init__(self, buffer: Any) -> None:
        self._buffer = buffer
        self._decoder = ChunkedDecoder()
        self.error: Error | None = None

    @property
    def completed(self) -> bool:
        return self._decoder.done

    def received(self, data: bytes) -> int:
        try:
            pieces, rest = self._decoder.feed(data)
        except request_heads.BadRequest as exc:
            self.error = BadRequest(exc.reason)
            return len(data)
        for piece in pieces:
            self._buffer.append(piece)
        return len(data) - len(rest)

    def getfile(self) -> Any:
        return self._buffer.getfile()

    def getbuf(self) -> Any:
        return self._buffer

    def __len__(self) -> int:
        return int(self._buffer.__len__())
