"""What can be seen over HTTP alone, of any watchdog: ours in each mode, or with `--url` anybody's.

`served` has any function, `echoing` one that answers with the body it gets.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import threading

import pytest

from tests.support.watchdog import WatchdogAt, receive_all, receive_until

HOST = b"Host: f\r\n"


def post(body: bytes, *headers: bytes) -> bytes:
    lines = [b"POST / HTTP/1.1", b"Host: f", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def body_of(answer: bytes) -> bytes:
    """The body of a whole response, whatever its framing."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return _dechunked(body) if re.search(rb"(?im)^transfer-encoding: *chunked", head) else body


def _dechunked(data: bytes) -> bytes:
    body = b""
    while True:
        line, _, data = data.partition(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        if not size:
            return body
        body += data[:size]
        data = data[size + 2 :]


def test_it_is_healthy_and_ready(served: WatchdogAt) -> None:
    health = served.request(None, "/_/health", "GET")
    assert (health.status, health.body) == (200, b"OK")
    assert served.request(None, "/_/ready", "GET").status == 200


def test_health_is_read_and_not_written(served: WatchdogAt) -> None:
    assert served.request(b"x", "/_/health", "POST").status == 405


def test_connection_is_used_again(served: WatchdogAt) -> None:
    connection = http.client.HTTPConnection(served.host, served.port, timeout=60)
    connection.connect()
    first = connection.sock
    for _ in range(3):
        connection.request("GET", "/_/health")
        assert connection.getresponse().read() == b"OK"
        assert connection.sock is first
    connection.close()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: f\r\nX-A: b\x00c\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 1\r\n\r\na",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_request_that_is_no_request_is_refused_and_what_follows_it_dropped(
    served: WatchdogAt, request_bytes: bytes
) -> None:
    answer = served.exchange(request_bytes + b"GET /smuggled HTTP/1.1\r\nHost: f\r\n\r\n")
    assert re.match(rb"HTTP/1\.[01] (400|501|505) ", answer)
    assert answer.count(b"HTTP/1.") == 1


def test_next_connection_is_fine_after_garbage(served: WatchdogAt) -> None:
    served.exchange(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
    assert served.request(None, "/_/health", "GET").status == 200


def test_clients_that_leave_at_once_do_no_harm(served: WatchdogAt) -> None:
    for part in (b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 100\r\n\r\nabc", post(b"x")):
        with served.connect() as raw:
            raw.sendall(part)
    assert served.request(None, "/_/health", "GET").status == 200


def test_body_comes_back(echoing: WatchdogAt) -> None:
    answer = echoing.request(b"hello", headers={"Content-Type": "text/css"})
    assert (answer.status, answer.body) == (200, b"hello")


def test_empty_body_comes_back(echoing: WatchdogAt) -> None:
    answer = echoing.request(b"")
    assert (answer.status, answer.body) == (200, b"")


def test_large_binary_body_comes_back_unchanged(echoing: WatchdogAt) -> None:
    body = os.urandom(1 << 20) * 20
    assert echoing.request(body).body == body


def test_chunked_body_is_decoded(echoing: WatchdogAt) -> None:
    head = b"POST / HTTP/1.1\r\nHost: f\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = echoing.exchange(head + b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert body_of(answer) == b"abcde"


def test_answer_to_head_has_no_body(echoing: WatchdogAt) -> None:
    answer = echoing.exchange(post(b"hello", b"Connection: close").replace(b"POST", b"HEAD"))
    assert answer.endswith(b"\r\n\r\n")
    assert answer.count(b"\r\n\r\n") == 1


def test_pipelined_requests_are_answered_in_order(echoing: WatchdogAt) -> None:
    bodies = [b"<%d>" % number for number in range(20)]
    requests = b"".join(post(body) for body in bodies[:-1]) + post(bodies[-1], b"Connection: close")
    answer = echoing.exchange(requests)
    assert re.findall(rb"<\d+>", answer) == bodies
    assert answer.count(b"HTTP/1.1 200 OK") == len(bodies)


def test_http_1_0_is_answered_and_the_connection_closed(echoing: WatchdogAt) -> None:
    answer = echoing.exchange(b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")
    assert re.match(rb"HTTP/1\.[01] 200 ", answer)
    assert answer.endswith(b"\r\n\r\nhello")


def test_body_is_asked_for_when_the_client_expects_that(echoing: WatchdogAt) -> None:
    with echoing.connect() as raw:
        raw.sendall(post(b"", b"Expect: 100-continue", b"Connection: close").replace(b"Length: 0", b"Length: 5"))
        assert receive_until(raw, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.sendall(b"hello")
        assert body_of(receive_all(raw)) == b"hello"


def test_request_that_comes_byte_by_byte_is_served(echoing: WatchdogAt) -> None:
    request = (
        b"POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    )
    with echoing.connect() as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for position in range(len(request)):
            raw.sendall(request[position : position + 1])
        assert body_of(receive_all(raw)) == b"ok"


def test_many_calls_at_once_get_their_own_answers(echoing: WatchdogAt) -> None:
    answers: dict[int, bytes] = {}

    def call(number: int) -> None:
        answers[number] = echoing.request(b"%d" % number).body

    threads = [threading.Thread(target=call, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: b"%d" % number for number in range(40)}


def test_caller_that_leaves_does_not_hold_up_the_next(echoing: WatchdogAt) -> None:
    for _ in range(10):
        with echoing.connect() as raw:
            raw.sendall(post(b"x" * 100_000))
    assert echoing.request(b"still here").body == b"still here"
