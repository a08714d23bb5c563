"""The HTTP connection of a client: kept, shared out, limited, and closed when requests cannot be told apart."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import PATIENCE, Pairs, RawClient, chunked, request_bytes
from tests.support.staged_replica import Exchange

HEAD = b"POST /function/stage HTTP/1.1\r\nHost: x\r\n"


def test_a_connection_serves_one_request_after_the_other(stage: InvocationStage) -> None:
    with stage.client() as client:
        for number in range(5):
            client.request("POST", "/function/stage", body=b"%d" % number)
            answer = client.answer()
            assert (answer.status, answer.body) == (200, b"%d" % number)
            assert answer.header("Connection") != "close"


def test_a_connection_survives_failures_of_the_platform(stage: InvocationStage) -> None:
    with stage.client() as client:
        for target in ("/function/missing", "/function/asleep", "/async-function/missing", "/nowhere", "/healthz"):
            client.request("POST" if "function" in target else "GET", target, body=b"some body")
            assert client.answer().status in (404, 503, 401, 200)
        client.request("GET", "/function/stage")
        assert client.answer().status == 200


def test_a_client_that_wants_the_connection_closed_gets_it_closed(stage: InvocationStage) -> None:
    with stage.client() as client:
        client.request("GET", "/function/stage", [("Connection", "close")])
        assert client.answer().header("Connection") == "close"
        assert client.rest() == b""


def test_pipelined_requests_are_answered_in_order(stage: InvocationStage) -> None:
    first_may_end = threading.Event()

    def play(exchange: Exchange) -> None:
        body = exchange.body()
        if body == b"0":
            assert first_may_end.wait(20)
        exchange.answer(body=body)

    stage.replica.play = play
    with stage.client() as client:
        client.send(b"".join(request_bytes("POST", "/function/stage", body=b"%d" % number) for number in range(4)))
        client.send(request_bytes("GET", "/function/missing"))
        stage.replica.exchange()
        first_may_end.set()
        assert [client.answer().body for _ in range(4)] == [b"0", b"1", b"2", b"3"]
        assert client.answer().status == 404


def test_http_1_0_gets_an_answer_it_can_read(stage: InvocationStage) -> None:
    def play(exchange: Exchange) -> None:
        exchange.begin()
        exchange.chunk(b"in ")
        exchange.chunk(b"chunks")
        exchange.chunk(b"")

    stage.replica.play = play
    with stage.client() as client:
        client.send(b"GET /function/stage HTTP/1.0\r\n\r\n")
        head = client.head()
        assert head.status == 200
        assert head.all("Transfer-Encoding") == []
        assert client.rest() == b"in chunks"


def test_head_to_an_answer_in_chunks_leaves_the_connection_in_step(stage: InvocationStage) -> None:
    stage.replica.play = lambda exchange: exchange.begin() if exchange.method == "HEAD" else exchange.answer(body=b"in")
    with stage.client() as client:
        client.request("HEAD", "/function/stage")
        client.request("GET", "/function/stage")
        head = client.answer("HEAD")
        assert head.status == 200
        if head.header("Connection") == "close":
            assert client.rest() == b""
        else:
            assert client.answer().body == b"in"


@pytest.mark.parametrize(
    "request_",
    [
        b"HEAD /function/stage HTTP/1.1\r\nHost: x\r\nConnection: x, close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /function/stage HTTP/1.2\r\nHost: x\r\nConnection: close\r\n\r\n",
        HEAD + b"Connection: close\r\nTransfer-Encoding: chunked \t\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
)
def test_what_is_odd_but_proper_is_served(stage: InvocationStage, request_: bytes) -> None:
    with stage.client() as client:
        for byte in request_:
            client.send(bytes((byte,)))
        assert client.head().status in (200, 401)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /function/stage HTTP/1.1\r\n\r\n", 400),
        (b"GET /function/stage HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
        (b"GET /function/stage HTTP/1.0\r\nHost: a/b\r\n\r\n", 400),
        (b"GET /function/stage/%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /function/stage/\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /function/stage HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET /function/stage HTTP/2.0\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 505),
        (b"GET /function/stage HTTP/0.9\r\nHost: x\r\n\r\n", 505),
        (b"GET /function/stage RTSP/1.0\r\nHost: x\r\n\r\n", 400),
        (b"GET /function/stage RTSP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 400),
        (b"GET /function/stage RTSP/1.0\r\nHost: x\r\nX: GET /function/stage HTTP/1.1\r\n\r\n", 400),
        (b"\r\n\r\n\r\nGET /function/stage/HTTP/ RTSP/1.0\r\nHost: x\r\n\r\n", 400),
        (b"SOURCE /function/stage ICE/1.0\r\nHost: x\r\n\r\n", 400),
        (b"GET  /function/stage HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /function/stage  HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST /function/stage HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 501),
        (HEAD + b"Transfer-Encoding: chunked\t\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nno trailer\r\n\r\n", 400),
        (b" " + HEAD + b"\r\n", 400),
    ],
)
def test_each_kind_of_bad_request_has_its_status(stage: InvocationStage, request_: bytes, status: int) -> None:
    with stage.client() as client:
        client.send(request_)
        answer = client.answer()
        assert (answer.status, answer.header("Connection")) == (status, "close")
        assert client.rest() == b""


@pytest.mark.parametrize("cut", [0, 5, 24, 26, 60])
def test_another_protocol_is_refused_behind_a_request_too(stage: InvocationStage, cut: int) -> None:
    good = request_bytes("POST", "/function/stage", body=b"POST /function/stage HTTP/")
    bad = b"POST /function/stage RTSP/1.0\r\nHost: gateway.test\r\nContent-Length: 0\r\n\r\n"
    with stage.client() as client:
        client.send(good[:-10])
        client.send(good[-10:] + bad[:cut])
        time.sleep(0.02)  # so that it comes in two pieces; it must be refused in one as well
        client.send(bad[cut:])
        answers = client.rest()
    assert answers.count(b"HTTP/1.1 200") == stage.replica.received.qsize() <= 1
    assert answers.count(b"HTTP/1.1") == 1 or b"HTTP/1.1 400" in answers


def test_endless_trailers_are_refused(stage: InvocationStage) -> None:
    with stage.client() as client:
        client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                client.send(b"y" * 65536)
        assert not client.rest().startswith(b"HTTP/1.1 200")


def test_http_1_0_may_post(stage: InvocationStage) -> None:
    with stage.client() as client:
        client.send(b"POST /function/stage HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody")
        assert client.answer().body == b"body"
        assert client.rest() == b""


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(stage: InvocationStage) -> None:
    with stage.client() as client:
        client.send(request_bytes("POST", "/function/stage", [("Expect", "100-Continue"), ("Content-Length", "4")]))
        assert client.head().status == 100
        client.send(b"body")
        answer = client.answer()
    assert (answer.status, answer.body) == (200, b"body")
    assert stage.replica.exchange().all("Expect") == []


@pytest.mark.parametrize("headers", [[], [("Content-Length", "0")]])
def test_a_client_that_waits_to_be_asked_for_no_body_is_answered(stage: InvocationStage, headers: Pairs) -> None:
    with stage.client() as client:
        client.request("GET", "/function/stage", [("Expect", "100-continue"), *headers])
        answer = client.answer()
        if answer.status == 100:
            answer = client.answer()
    assert answer.status == 200


def test_a_bad_request_that_waits_to_be_asked_is_refused(stage: InvocationStage) -> None:
    with stage.client() as client:
        client.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert client.answer().status == 400


def test_a_client_that_leaves_before_it_is_refused_is_nothing_to_log(stage: InvocationStage) -> None:
    known = len(stage.gateway.log())
    for _ in range(50):
        with stage.client() as client:
            client.reset()
            client.send(b"GET /function/stage HTTP/1.1\r\n\r\n")
    assert stage.call("GET", "/function/stage").status == 200
    assert stage.gateway.log()[known:] == ""


def test_slow_calls_keep_neither_healthz_nor_management_nor_other_clients_from_being_answered(
    stage: InvocationStage,
) -> None:
    may_end = threading.Event()

    def play(exchange: Exchange) -> None:
        assert may_end.wait(PATIENCE)
        exchange.answer()

    stage.replica.play = play
    with contextlib.ExitStack() as stack:
        stack.callback(may_end.set)
        clients = [stack.enter_context(stage.client()) for _ in range(40)]
        for client in clients:
            client.request("GET", "/function/stage")
        stage.replica.exchange()
        assert stage.call("GET", "/healthz").status == 200
        assert stage.gateway.get("/system/functions").status_code == 200
        with RawClient(stage.gateway.address, "127.0.0.2") as neighbour:
            neighbour.request("POST", "/function/cat", body=b"x")
            assert neighbour.answer("POST").status == 200
        assert not may_end.is_set()
        may_end.set()
        assert [client.answer().status for client in clients] == [200] * 40


@pytest.mark.parametrize("data_plane", ["fastlane"], indirect=True, scope="session")
@pytest.mark.parametrize("target", ["/function/missing", "/async-function/missing"])
def test_a_client_that_waits_to_be_asked_is_refused_without_its_body(stage: InvocationStage, target: str) -> None:
    """waitress asks before the app sees the request."""
    with stage.client() as client:
        client.send(request_bytes("POST", target, [("Expect", "100-continue"), ("Content-Length", "1000000000")]))
        answer = client.answer()
        assert answer.status == 404
        # Whether the body follows or the next request does, nobody can tell.
        assert answer.header("Connection") == "close"


@pytest.mark.parametrize("body", [None, b"body", bytes(100_000)])
def test_an_offer_to_upgrade_is_ignored_and_the_request_served(stage: InvocationStage, body: bytes | None) -> None:
    upgrade = [
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIA"),
    ]
    known = len(stage.gateway.log())
    with stage.client() as client:
        for _ in range(2):
            client.request("PUT", "/function/stage/a%20b?c", upgrade, body)
            answer = client.answer()
            assert (answer.status, answer.body) == (200, body or b"")
            exchange = stage.replica.exchange()
            assert (exchange.target, exchange.all("Upgrade")) == ("/a%20b?c", [])
    assert stage.gateway.log()[known:] == ""


@pytest.mark.parametrize(
    "request_",
    [
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        HEAD + b"Content-Length: 5, 6\r\n\r\nabcde",
        HEAD + b"Content-Length: -5\r\n\r\nabcde",
        HEAD + b"Content-Length: +5\r\n\r\nabcde",
        HEAD + b"Content-Length: 0x5\r\n\r\nabcde",
        HEAD + b"Content-Length: five\r\n\r\nabcde",
        HEAD + b"Content-Length : 5\r\n\r\nabcde",
        HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        HEAD + b"X-A: b\rX-B: c\r\n\r\n",
        HEAD + b"X-A: b\0c\r\n\r\n",
        HEAD + b"no colon\r\n\r\n",
        HEAD + b": no name\r\n\r\n",
        HEAD + b"X A: b\r\n\r\n",
        b"GET /function/stage\r\n\r\n",
        b"GET /function/stage HTTP/9.9\r\n\r\n",
        b"GET /function/sta ge HTTP/1.1\r\n\r\n",
        b"get /function/stage HTTP/1.1\r\n\r\n",
        b"GET /function/stage/\xc3\xbc HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n",
    ],
)
def test_what_is_not_proper_http_is_a_400_and_nothing_after_it_is_believed(
    stage: InvocationStage, request_: bytes
) -> None:
    with stage.client() as client:
        client.send(request_ + b"GET /function/stage/hidden HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = client.answer()
        assert answer.status in (400, 501, 505)
        assert answer.header("Connection") == "close"
        assert client.rest() == b""
    while not stage.replica.received.empty():
        assert "hidden" not in stage.replica.exchange().target


def test_a_tunnel_is_refused(stage: InvocationStage) -> None:
    with stage.client() as client:
        client.send(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n")
        assert client.answer().status in (400, 401, 404, 405)


def test_many_bad_requests_do_not_fill_the_log(stage: InvocationStage) -> None:
    known = len(stage.gateway.log())
    for _ in range(20):
        with stage.client() as client:
            client.send(b"nonsense\r\n\r\n")
            assert client.answer().status == 400
    assert len(stage.gateway.log()[known:].splitlines()) <= 1


def test_a_bad_request_after_a_good_one_does_not_spoil_its_answer(stage: InvocationStage) -> None:
    bad_one_is_sent = threading.Event()

    def play(exchange: Exchange) -> None:
        assert bad_one_is_sent.wait(20)
        exchange.answer(body=b"good")

    stage.replica.play = play
    with stage.client() as client:
        client.request("GET", "/function/stage")
        stage.replica.exchange()
        client.send(b"nonsense\r\n\r\n")
        bad_one_is_sent.set()
        answer = client.answer()
        assert (answer.status, answer.body) == (200, b"good")
        assert b"good" not in client.rest()


def test_a_body_that_turns_bad_ends_the_run(stage: InvocationStage) -> None:
    ended = threading.Event()

    def play(exchange: Exchange) -> None:
        exchange.wait_for_end()
        ended.set()

    stage.replica.play = play
    with stage.client() as client:
        client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        if stage.streams_uploads:
            stage.replica.exchange()
        client.send(b"this is not a chunk\r\n")
        assert client.answer().status == 400
    if stage.streams_uploads:
        assert ended.wait(20)


@pytest.mark.parametrize("how", ["one long header", "many headers", "a long path"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_head_that_is_too_large_is_refused(stage: InvocationStage, how: str, at_once: bool) -> None:
    head = b"GET /function/stage HTTP/1.1\r\nHost: x\r\n"
    if how == "one long header":
        head += b"X-Long: " + b"x" * 200_000 + b"\r\n"
    elif how == "many headers":
        head += b"".join(b"X-Many-%d: x\r\n" % number for number in range(20_000))
    else:
        head = b"GET /function/stage/" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n"
    with stage.client() as client:
        pieces = [head + b"\r\n"] if at_once else [head[at : at + 8000] for at in range(0, len(head), 8000)]
        try:
            for piece in pieces:
                client.send(piece)
        except ConnectionError:
            pass  # refused before it was whole
        answer = client.answer()
        assert answer.status == 431
        assert answer.header("Connection") == "close"
    assert stage.replica.received.empty()


def test_a_large_head_below_the_limit_is_served_again_and_again(stage: InvocationStage) -> None:
    headers = [(f"X-Many-{number}", "x" * 1000) for number in range(30)]
    with stage.client() as client:
        for _ in range(5):
            client.request("POST", "/function/stage", headers, bytes(100_000))
            assert client.answer().status == 200


def test_a_request_in_single_bytes_is_served(stage: InvocationStage) -> None:
    data = request_bytes("POST", "/function/stage/a%20b?c=d", [("X-A", "b"), ("Transfer-Encoding", "chunked")])
    with stage.client() as client:
        for byte in data + chunked(b"one", b"two"):
            client.send(bytes((byte,)))
        assert client.answer().body == b"onetwo"
    assert stage.replica.exchange().target == "/a%20b?c=d"


def test_requests_that_do_not_arrive_in_time_end_their_connections(hasty: InvocationStage) -> None:
    starts = [
        b"GET /function/st",
        b"GET /function/stage HTTP/1.1\r\nX-Slow: ",
        HEAD + b"Content-Length: 9\r\n\r\nabc",
    ]
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(hasty.client()) for _ in starts]
        for client, start in zip(clients, starts, strict=True):
            client.send(start)
        dripping = stack.enter_context(hasty.client())
        dripping.send(b"GET /function/stage HTTP/1.1\r\nX-Slow: ")

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not stop.wait(0.1):
                    dripping.send(b"x")

        dripper = threading.Thread(target=drip)
        dripper.start()
        told = [client.rest() for client in (dripping, *clients)]
        stop.set()
        dripper.join()
    assert all(words == b"" or words.startswith((b"HTTP/1.1 408", b"HTTP/1.1 504")) for words in told), told
