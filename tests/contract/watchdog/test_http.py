"""HTTP as such: what is refused, what times out, what stays open."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.support.processes import free_port
from tests.support.waiting import wait_until
from tests.support.watchdog import Watchdog, WatchdogAt, receive_all, receive_until

Start = Callable[..., Watchdog]


@pytest.fixture(scope="module")
def cat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watchdog]:
    with Watchdog(tmp_path_factory.mktemp("cat") / "log", {"fprocess": "cat"}) as watchdog:
        yield watchdog


HOST = b"Host: f\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : f\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X-A: b\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X-A: b\nX-B: c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X-A: b\x00c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\n" + b"Host: f\n\n", 400),
        (b"GET relative HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"CONNECT f:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\na", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 1\r\n\r\na", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 200_000, 431),
    ],
)
def test_request_that_is_no_request_is_refused_and_the_connection_closed(
    cat: Watchdog, request_bytes: bytes, status: int
) -> None:
    answer = cat.exchange(request_bytes + b"GET /smuggled HTTP/1.1\r\nHost: f\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"\r\n\r\n") == 1
    assert b"Connection: close" in answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n\r\nPOST / HTTP/1.1\r\nHost: f\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"POST http://f/a?b HTTP/1.1\r\nHost: f\r\nContent-Length: 2\r\nConnection: x, CLOSE\r\n\r\nok",
        b"POST / HTTP/1.1\r\nhost:f\r\ncontent-length:\t2 \r\nconnection: close\r\n\r\nok",
        b"POST / HTTP/1.1\r\nHost:\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
    ],
)
def test_unusual_but_valid_requests_are_served(cat: Watchdog, request_bytes: bytes) -> None:
    assert cat.exchange(request_bytes).endswith(b"\r\n\r\nok")


def test_request_that_comes_byte_by_byte_is_served(cat: Watchdog) -> None:
    request = (
        b"POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    )
    with cat.connect() as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for position in range(len(request)):
            raw.sendall(request[position : position + 1])
        assert receive_all(raw).endswith(b"\r\n\r\nok")


def test_connection_is_reused_also_after_a_body_nobody_read(start: Start) -> None:
    watchdog = start(fprocess="echo done")
    head = b"POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 3000000\r\n\r\n"
    with watchdog.connect() as raw:
        for _ in range(3):
            raw.sendall(head + b"x" * 3_000_000)
            assert receive_until(raw, b"done\n").endswith(b"done\n")


def test_unused_connection_outlives_read_timeout(start: Start) -> None:
    watchdog = start(fprocess="cat", read_timeout="200ms")
    request = b"POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 2\r\n\r\nok"
    with watchdog.connect() as raw, watchdog.connect() as stalled:
        raw.sendall(request)
        assert receive_until(raw, b"ok").endswith(b"\r\n\r\nok")
        stalled.sendall(b"GET / HT")
        assert b" 408 " in receive_all(stalled)
        raw.sendall(request)
        assert receive_until(raw, b"ok").endswith(b"\r\n\r\nok")


@pytest.mark.parametrize("sent", [b"POST / HT", b"POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 5\r\n\r\nhel"])
def test_request_that_does_not_arrive_in_time_is_given_up(start: Start, sent: bytes) -> None:
    watchdog = start(fprocess="cat", read_timeout="300ms")
    answer = watchdog.exchange(sent)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b"the request did not arrive in time.\n")


def test_client_that_does_not_read_is_cut_off(start: Start) -> None:
    watchdog = start(fprocess=f"head -c {50 << 20} /dev/zero", write_timeout="300ms")
    with watchdog.connect() as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: f\r\n\r\n")
        watchdog.process.wait_for_log("event=write_timeout")
        received = b""
        with contextlib.suppress(ConnectionResetError):
            received = receive_all(raw)
    assert len(received) < 50 << 20
    assert watchdog.request(None, "/_/health", "GET").status == 200


def test_slow_reader_that_goes_on_reading_gets_everything(start: Start) -> None:
    watchdog = start(fprocess=f"head -c {20 << 20} /dev/zero", write_timeout="1s")
    with watchdog.connect() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        raw.sendall(b"GET / HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n")
        assert len(receive_all(raw)) > 20 << 20


def test_refusal_reaches_a_client_that_is_still_sending(start: Start) -> None:
    watchdog = start(fprocess="sleep 60", max_inflight="1")
    with watchdog.connect() as busy, watchdog.connect() as raw:
        busy.sendall(b"GET / HTTP/1.1\r\nHost: f\r\n\r\n")
        wait_until(lambda: watchdog.request(None, "/_/ready", "GET").status == 429)
        raw.sendall(b"POST / HTTP/1.1\r\nHost: f\r\nConnection: close\r\nContent-Length: 20000000\r\n\r\n")
        raw.sendall(b"x" * 20_000_000)
        assert receive_all(raw).startswith(b"HTTP/1.1 429 ")


def test_refused_client_that_asked_first_is_not_told_to_go_on(start: Start) -> None:
    watchdog = start(fprocess="sleep 60", max_inflight="1")
    with watchdog.connect() as busy:
        busy.sendall(b"GET / HTTP/1.1\r\nHost: f\r\n\r\n")
        wait_until(lambda: watchdog.request(None, "/_/ready", "GET").status == 429)
        answer = watchdog.exchange(b"POST / HTTP/1.1\r\nHost: f\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b"100 Continue" not in answer
    assert b"Connection: close" in answer


def test_metrics_count_calls_by_code_and_method(start: Start) -> None:
    port = free_port()
    watchdog = start(fprocess="cat", metrics_port=port)
    for _ in range(3):
        watchdog.request(b"x")
    watchdog.request(None, "/_/health", "GET")
    page = WatchdogAt("127.0.0.1", port).request(None, "/metrics", "GET")
    assert (page.header("Content-Type") or "").startswith("text/plain; version=0.0.4")
    lines = page.body.decode().splitlines()
    assert 'http_requests_total{code="200",method="post"} 3' in lines
    assert 'http_request_duration_seconds_count{code="200",method="post"} 3' in lines
    assert 'http_request_duration_seconds_bucket{code="200",method="post",le="+Inf"} 3' in lines
    assert "http_requests_in_flight 0" in lines
    assert not [line for line in lines if 'method="get"' in line]


def test_port_is_bound_where_no_socket_is_handed_over(start: Start) -> None:
    port = free_port()
    watchdog = start(fprocess="cat", listen_fd="", port=port)
    assert WatchdogAt("127.0.0.1", port).request(b"here").body == b"here"
    second = start(wait=False, fprocess="cat", listen_fd="", port=port)
    assert second.process.wait() == 1
    assert f"port: cannot listen on {port}: Address already in use" in second.process.log()
    assert watchdog.process.exit_code is None


def test_descriptor_that_does_not_listen_is_named(start: Start) -> None:
    watchdog = start(wait=False, fprocess="cat", listen_fd="77")
    assert watchdog.process.wait() == 1
    assert "cannot start: listen_fd: " in watchdog.process.log()
