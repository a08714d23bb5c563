"""waitress, for the Flask app: with the limits it lacks, and a drain."""

from __future__ import annotations

import contextlib
import logging
import math
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.buffers import OverflowableBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import FixedStreamReceiver
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask
from waitress.utilities import BadRequest, Error

from gateway.api.heads import JudgeByHead, Refusal, Verdict
from gateway.api.public_port import IS_PUBLIC
from gateway.crowd import CROWDED, RESERVED, RESERVED_PATIENCE, Crowd, Place, is_reserved_for
from gateway.fastlane.connection import Limits
from gateway.invoke.bodies import BodyBudget, Held
from gateway.invoke.incoming import SMALL_BODY
from swarmfn.wire import request_heads
from swarmfn.wire.chunks import ChunkedDecoder
from swarmfn.wire.errors import Unavailable
from swarmfn.wire.headers import INTERNAL
from swarmfn.wire.request_heads import RequestHead, parse_head

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_THREADS = 32
_OF_ONE_CLIENT = 24
"""Threads that one client's calls may have, however slow they are: the others have the rest."""
_LOOK_EVERY = 0.05
_ACCEPTED_AT_ONCE = 256
_END_OF_HEAD = b"\r\n\r\n"
_CALLS = ("function", "async-function")
_LINGER = 2.0
"""Seconds in which a client that is still sending can read why it was refused, before the connection is closed."""


class FlaskServer:
    """Serves `app` on `listener` from threads of its own, from `start()` to `close()`. `spool` limits what it keeps of
    requests, in memory and on disk, `crowd` who is connected; `judge` is asked before a body is taken. `is_public`: its
    port serves no management."""

    def __init__(
        self,
        app: WSGIApplication,
        listener: socket.socket,
        limits: Limits,
        judge: JudgeByHead,
        spool: BodyBudget | None = None,
        crowd: Crowd | None = None,
        is_public: bool = False,
    ) -> None:
        self.port: int = listener.getsockname()[1]
        # Not a line for each client that leaves, nor for each call that waits for a thread.
        logging.getLogger("waitress").setLevel(logging.WARNING)
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        adjustments = Adjustments(
            sockets=[listener],
            threads=_THREADS,
            connection_limit=1000 if crowd is None else crowd.most + 2 * RESERVED,  # where it stops accepting
            asyncore_use_poll=True,
            # Lets a thread that waits for a function see that the client has gone.
            channel_request_lookahead=1,
            channel_timeout=int(limits.idle_timeout),
            cleanup_interval=1,
            max_request_header_size=limits.head_size,
            max_request_body_size=1 << 40,
            # What is written goes out at once: answers may be streams of events.
            send_bytes=1,
            outbuf_high_watermark=256 * 1024,
            # These are clients that leave.
            log_socket_errors=False,
            ident=None,
            clear_untrusted_proxy_headers=False,
        )
        self._threads = _Threads()
        self._server: Any = _Server(
            app,
            {},
            True,
            listener,
            dispatcher=self._threads,
            adj=adjustments,
            bind_socket=False,
            sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
        )
        self._server.limits = limits
        self._server.judge = judge
        self._server.spool = spool
        self._server.crowd = crowd
        self._server.is_public = is_public
        self._thread = threading.Thread(target=self._server.run, name="waitress", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout: float, is_hurried: Callable[[], bool] = lambda: False) -> None:
        """Stops accepting, lets requests that have begun end within `timeout` seconds, or until somebody is in a hurry,
        then closes every connection."""
        deadline = time.monotonic() + timeout
        self._on_its_thread(self._server.stop_accepting)
        while self._server.is_busy and time.monotonic() < deadline and not is_hurried():
            time.sleep(_LOOK_EVERY)
            self._on_its_thread(self._server.close_idle)
        self._on_its_thread(self._server.close_all)
        self._thread.join()
        self._threads.shutdown()

    def _on_its_thread(self, action: Any) -> None:
        done = threading.Event()

        def act() -> None:
            try:
                action()
            finally:
                done.set()

        self._server.trigger.pull_trigger(act)
        done.wait()


class _Threads:
    """waitress's dispatcher: threads for calls, for management, and one for what is answered at once.

    So a gateway all of whose calls are slow, or whose management pages are, still says that it is well.
    """

    def __init__(self) -> None:
        self._calls, self._management, self._quick = _Calls(), _dispatcher(_THREADS), _dispatcher(1)

    def add_task(self, channel: _Channel) -> None:
        request = channel.requests[0]
        first = "" if request.error else request.path.lstrip("/").partition("/")[0]
        if request.error or first == "healthz":
            self._quick.add_task(channel)
        elif first in _CALLS:
            self._calls.add_task(channel)
        else:
            self._management.add_task(channel)

    def shutdown(self) -> None:
        self._calls.shutdown()
        for dispatcher in (self._management, self._quick):
            dispatcher.shutdown(cancel_pending=True, timeout=1)


class _Calls:
    """Threads for calls. A client that has its share of them waits, and nobody behind it does."""

    def __init__(self) -> None:
        self._dispatcher = _dispatcher(_THREADS)
        self._lock = threading.Lock()
        self._turns: Counter[str] = Counter()
        self._waiting: dict[str, deque[_Channel]] = {}

    def add_task(self, channel: _Channel) -> None:
        client = channel.client
        with self._lock:
            if self._turns[client] >= _OF_ONE_CLIENT:
                self._waiting.setdefault(client, deque()).append(channel)
                return
            self._turns[client] += 1
        self._dispatcher.add_task(_Turn(self, channel, client))

    def end_turn(self, client: str) -> None:
        """The turn goes to the client's next call, if one waits."""
        with self._lock:
            waiting = self._waiting.get(client)
            if not waiting:
                self._turns[client] -= 1
                if not self._turns[client]:
                    del self._turns[client]
                return
            channel = waiting.popleft()
            if not waiting:
                del self._waiting[client]
        self._dispatcher.add_task(_Turn(self, channel, client))

    def shutdown(self) -> None:
        self._dispatcher.shutdown(cancel_pending=True, timeout=1)
        with self._lock:
            for channel in (one for waiting in self._waiting.values() for one in waiting):
                channel.cancel()


@dataclass(frozen=True, slots=True)
class _Turn:
    """A client's turn on a thread; waitress's task."""

    calls: _Calls
    channel: _Channel
    client: str

    def service(self) -> None:
        try:
            self.channel.service()
        finally:
            self.calls.end_turn(self.client)

    def cancel(self) -> None:
        self.channel.cancel()


def _dispatcher(threads: int) -> ThreadedTaskDispatcher:
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(threads)
    return dispatcher


class _NoRoom(Error):  # type: ignore[misc]
    code = 503
    reason = "Service Unavailable"


class _Answered(Error):  # type: ignore[misc]
    """A request whose head was enough."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__("")
        self.refusal = refusal


class _Parser(HTTPRequestParser):  # type: ignore[misc]
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
        judge: Callable[[_Parser, int], Verdict],
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
                raise Unavailable(CROWDED)
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
            self.error = _Answered(self._verdict.refusal)
            self.completed = True

    def _refuse(self, reason: Unavailable) -> None:
        self.error = _NoRoom(str(reason).removesuffix("."))
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


class _Task(WSGITask):  # type: ignore[misc]
    """waitress would keep a connection whose `Connection` names more than `close`, and answer HEAD with the end of a
    chunked body."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[IS_PUBLIC] = self.channel.server.is_public
        return environ

    def build_response_header(self) -> bytes:
        if not self.request.keep_alive:
            self.set_close_on_finish()
        head: bytes = super().build_response_header()
        if self.request.command == "HEAD":
            self.chunked_response = False
        return head

    def write(self, data: bytes) -> None:
        data = b"" if self.request.command == "HEAD" else data
        if self.wrote_header or not data:
            super().write(data)
        else:
            with self.channel.in_one_piece():
                super().write(data)


class _Refusal(ErrorTask):  # type: ignore[misc]
    def execute(self) -> None:
        error = self.request.error
        if isinstance(error, _Answered):
            self._answer(error.refusal)
            return
        text = f"{error.body}.\n".encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [("Content-Type", "text/plain; charset=utf-8"), (INTERNAL, "gateway")]
        if isinstance(error, _NoRoom):
            self.response_headers.append(("Retry-After", str(math.ceil(error.retry_after))))
            self.channel.lingers = True
        self.set_close_on_finish()
        self.content_length = len(text)
        self.write(text)

    def _answer(self, refusal: Refusal) -> None:
        self.status = refusal.status
        self.response_headers += refusal.headers
        self.channel.lingers = True
        self.set_close_on_finish()
        self.content_length = len(refusal.body)
        self.write(b"" if self.request.command == "HEAD" else refusal.body)


class _Channel(HTTPChannel):  # type: ignore[misc]
    task_class = _Task
    error_task_class = _Refusal
    request: Any
    began = 0.0
    """When the request that is being received began."""
    lingers = False
    """Its client is still sending a request that was refused: closing now would make its system drop the answer."""
    closes_at = 0.0
    """When it stops lingering; 0 before it has begun to."""
    is_reserved = False
    _held: list[bytes] | None = None

    def __init__(self, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self.server.note_newcomer(self)
        crowd = self.server.crowd
        if crowd is not None:
            place = crowd.admit(self, self.addr[0])
            self.is_reserved = place is Place.RESERVED
            self.will_close = place is Place.NONE

    def del_channel(self, *table: Any) -> None:
        super().del_channel(*table)
        if self.server.crowd is not None:
            self.server.crowd.leave(self)

    @contextlib.contextmanager
    def in_one_piece(self) -> Iterator[None]:
        """What is written meanwhile goes out together: waitress would send an answer's head by itself."""
        held: list[bytes] = []
        self._held = held
        try:
            yield
        finally:
            self._held = None
        super().write_soon(b"".join(held))

    def write_soon(self, data: Any) -> int:
        if self._held is None:
            return int(super().write_soon(data))
        self._held.append(data)
        return len(data)

    @property
    def client(self) -> str:
        """Who sent the request that is next; "" where no client is told from another."""
        crowd = self.server.crowd
        said = self.requests[0].headers.get("X_FORWARDED_FOR", "")
        return "" if crowd is None else str(crowd.client_of(self.addr[0], [said]))

    @property
    def is_idle(self) -> bool:
        return not self.is_busy

    @property
    def is_answering(self) -> bool:
        return bool(self.requests)

    def shed(self) -> None:
        self.server.shed(self)

    def parser_class(self, adj: Adjustments) -> _Parser:
        return _Parser(adj, self._judge, self.addr[0], self.server.spool, self.is_reserved)

    def _judge(self, request: _Parser, received: int) -> Verdict:
        environ = _Task(self, request).get_environment()
        verdict: Verdict = self.server.judge(environ, received)
        return verdict

    def received(self, data: bytes) -> Any:
        if self.closes_at:
            return False
        before = self.request
        result = super().received(data)
        if self.request is not before:
            self.began = time.time()
        return result

    def handle_close(self) -> None:
        if self.request is not None:
            self.request.close()
            self.request = None
        if self.lingers and self.connected and not self.closes_at:
            self.closes_at = time.time() + _LINGER
            self.will_close = False
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
            return
        super().handle_close()

    @property
    def is_busy(self) -> bool:
        return bool(self.requests or self.request is not None or self.total_outbufs_len)

    def is_overdue(self, now: float) -> bool:
        limits = self.server.limits
        is_stalled = self.total_outbufs_len and now - self.last_activity > limits.write_timeout
        is_done = self.closes_at and now > self.closes_at
        if self.is_reserved and not self.is_answering:
            is_done = is_done or now > self.creation_time + RESERVED_PATIENCE
        return bool(is_done or is_stalled or (self.request is not None and now - self.began > limits.read_timeout))


class _Server(TcpWSGIServer):  # type: ignore[misc]
    channel_class = _Channel
    limits: Limits
    judge: JudgeByHead
    spool: BodyBudget | None
    crowd: Crowd | None
    is_public: bool
    _newest: _Channel | None = None

    def __init__(self, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self.next_channel_cleanup = math.inf  # waitress would do it in the middle of a turn
        self._shed: list[_Channel] = []
        self._next_look = 0.0

    def run(self) -> None:
        """Closes connections only between two turns of the loop: a newcomer would get the number of one that was
        closed, and with it what the turn still has to tell of that one."""
        while self._map:
            self._close_some()
            wasyncore.poll2(self.adj.asyncore_loop_timeout, self._map)

    def _close_some(self) -> None:
        shed, self._shed = self._shed, []
        for channel in shed:
            if channel.connected:
                channel.handle_close()
        now = time.time()
        if now >= self._next_look:
            self._next_look = now + self.adj.cleanup_interval
            self.maintenance(now)

    def shed(self, channel: _Channel) -> None:
        """Closes `channel` after this turn."""
        self._shed.append(channel)

    def handle_accept(self) -> None:
        # A turn of the loop looks at every connection, so with one for each turn newcomers would wait behind a crowd.
        for _ in range(_ACCEPTED_AT_ONCE):
            before = self._newest
            super().handle_accept()
            if self._newest is before:
                return

    def note_newcomer(self, channel: _Channel) -> None:
        self._newest = channel

    def maintenance(self, now: float) -> None:
        super().maintenance(now)
        for channel in list(self.active_channels.values()):
            if channel.is_overdue(now):
                channel.handle_close()

    @property
    def is_busy(self) -> bool:
        return any(channel.is_busy for channel in list(self.active_channels.values()))

    def stop_accepting(self) -> None:
        # Not close(): that would close the trigger too, by which threads tell of their answers.
        wasyncore.dispatcher.close(self)

    def close_idle(self) -> None:
        self.maintenance(time.time())
        for channel in list(self.active_channels.values()):
            if not channel.is_busy:
                channel.handle_close()

    def close_all(self) -> None:
        """Its loop ends with this."""
        wasyncore.close_all(self._map, ignore_all=True)
