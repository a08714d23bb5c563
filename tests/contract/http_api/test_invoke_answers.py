"""/function/NAME: what of a function's answer reaches the client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import PATIENCE, Truncated
from tests.support.staged_replica import ByteHeaders, Exchange


def answering(status: int = 200, headers: ByteHeaders | None = None, body: bytes = b"") -> Callable[[Exchange], None]:
    """A play that gives one answer, whatever it is asked."""

    def play(exchange: Exchange) -> None:
        exchange.body()
        exchange.answer(status, headers, body)

    return play


@pytest.mark.parametrize(
    "status", [200, 201, 202, 206, 226, 299, 400, 401, 404, 413, 429, 500, 502, 503, 504, 599, 799]
)
def test_whatever_status_a_function_chooses_is_its_own(stage: InvocationStage, status: int) -> None:
    stage.replica.play = answering(status, [(b"X-Reason", b"mine"), (b"Retry-After", b"7")], b"the function's words")
    answer = stage.call("POST", "/function/stage", body=b"x")
    assert (answer.status, answer.body) == (status, b"the function's words")
    assert (answer.header("X-Reason"), answer.header("Retry-After")) == ("mine", "7")
    assert answer.all("X-OpenFaaS-Internal") == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_passed_on_and_not_followed(stage: InvocationStage, status: int) -> None:
    stage.replica.play = answering(status, [(b"Location", b"/function/stage/next?a=%20b")])
    answer = stage.call("GET", "/function/stage")
    assert (answer.status, answer.header("Location")) == (status, "/function/stage/next?a=%20b")
    stage.replica.exchange()
    assert stage.replica.received.empty()


@pytest.mark.parametrize(
    ("method", "status", "headers"),
    [
        ("HEAD", 200, [(b"Content-Length", b"1234"), (b"ETag", b'"x"')]),
        ("HEAD", 404, [(b"Transfer-Encoding", b"chunked")]),
        ("GET", 204, [(b"X-None", b"1"), (b"Content-Length", b"0")]),
        ("GET", 304, [(b"ETag", b'"x"'), (b"Content-Length", b"1234")]),
        ("GET", 304, [(b"ETag", b'"x"'), (b"Transfer-Encoding", b"chunked")]),
    ],
)
def test_an_answer_that_has_no_body_ends_with_its_head(
    stage: InvocationStage, method: str, status: int, headers: ByteHeaders
) -> None:
    stage.replica.play = answering(status, headers)
    with stage.client() as client:
        client.request(method, "/function/stage")
        answer = client.answer(method)
        assert (answer.status, answer.body) == (status, b"")
        if method == "HEAD" and status == 200:
            assert answer.header("Content-Length") == "1234"
        # Nothing but the next answer follows on the connection, if it stays.
        if answer.header("Connection") != "close":
            stage.replica.play = answering(200, body=b"next")
            client.request("GET", "/function/stage")
            assert client.answer().body == b"next"


def test_an_answer_cannot_act_for_the_whole_origin(stage: InvocationStage) -> None:
    own: ByteHeaders = [(b"Content-Type", b"text/html"), (b"Content-Security-Policy", b"default-src 'self'")]
    own += [(b"Clear-Site-Data", b'"*"'), (b"Set-Cookie", b"a=1; Path=/; Domain=example.com")]
    own += [(b"WWW-Authenticate", b'Basic realm="Restricted"')]
    stage.replica.play = answering(401, own, b"<script>fetch('/system/functions')</script>")
    answer = stage.call("GET", "/function/stage")
    assert answer.all("Content-Security-Policy") == ["default-src 'self'", "sandbox allow-forms allow-scripts"]
    assert answer.all("Clear-Site-Data") == []
    assert answer.all("Set-Cookie") == ["a=1; Path=/function/stage"]
    assert answer.all("WWW-Authenticate") == ['Basic realm="stage"']


def test_headers_of_the_function_arrive_and_repeated_ones_stay_apart(stage: InvocationStage) -> None:
    cookies = [(b"Set-Cookie", b"a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/function/stage/a")]
    cookies.append((b"set-cookie", b"b=2; Path=/function/stage"))
    others = [(b"Content-Type", b"text/x-odd; charset=latin-1"), (b"X-Odd", b'\xfc, "b";  c'), (b"Server", b"mine/1")]
    stage.replica.play = answering(200, [*cookies, *others], b"x")
    answer = stage.call("GET", "/function/stage")
    assert answer.all("Set-Cookie") == [value.decode() for _, value in cookies]
    assert answer.header("Content-Type") == "text/x-odd; charset=latin-1"
    assert answer.header("X-Odd") == 'ü, "b";  c'
    assert answer.header("Server") == "mine/1"


def test_a_content_type_that_the_function_did_not_send_is_not_made_up(stage: InvocationStage) -> None:
    stage.replica.play = answering(200, [], b"x")
    assert stage.call("GET", "/function/stage").all("Content-Type") == []


def test_hop_by_hop_headers_of_the_function_stay_behind(stage: InvocationStage) -> None:
    own = [
        (b"Connection", b"X-Secret, keep-alive"),
        (b"X-Secret", b"1"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Proxy-Authenticate", b"Basic"),
        (b"Upgrade", b"h2c"),
        (b"Trailer", b"X-Sum"),
        (b"Trailers", b"odd"),
        (b"Proxy-Connection", b"keep-alive"),
    ]
    stage.replica.play = answering(200, [*own, (b"X-Public", b"2")], b"x")
    answer = stage.call("GET", "/function/stage")
    assert (answer.status, answer.header("X-Public")) == (200, "2")
    for name, _ in own[1:6]:
        assert answer.all(name.decode()) == [], name
    assert "X-Secret" not in ",".join(answer.all("Connection"))


def test_every_answer_says_how_long_it_took(stage: InvocationStage) -> None:
    began = time.monotonic()
    answer = stage.call("GET", "/function/stage")
    assert 0 < float(answer.header("X-Duration-Seconds") or 0) <= time.monotonic() - began


def test_what_the_function_says_of_the_call_does_not_replace_what_the_platform_says(stage: InvocationStage) -> None:
    claims = [(b"X-Call-Id", b"other"), (b"X-Start-Time", b"1"), (b"X-Duration-Seconds", b"9999")]
    stage.replica.play = answering(200, claims)
    answer = stage.call("GET", "/function/stage", [("X-Call-Id", "this-one")])
    assert answer.header("X-Call-Id") == "this-one"
    assert answer.header("X-Start-Time") != "1"
    assert float(answer.header("X-Duration-Seconds") or 9999) < 9999


@pytest.mark.parametrize("target", ["/function/missing", "/function/asleep"])
def test_failures_of_the_platform_carry_the_calls_headers_too(stage: InvocationStage, target: str) -> None:
    before = time.time_ns()
    answer = stage.call("GET", target, [("X-Call-Id", "mine")])
    assert answer.header("X-OpenFaaS-Internal") == "gateway"
    assert answer.header("X-Call-Id") == "mine"
    assert before <= int(answer.header("X-Start-Time") or 0) <= time.time_ns()
    assert float(answer.header("X-Duration-Seconds") or -1) >= 0


def test_an_answer_in_chunks_arrives_whole(stage: InvocationStage) -> None:
    def play(exchange: Exchange) -> None:
        exchange.begin()
        for size in (1, 100_000, 3, 70_000):
            exchange.chunk(b"x" * size)
        exchange.chunk(b"")

    stage.replica.play = play
    assert len(stage.call("GET", "/function/stage").body) == 170_004


def test_an_answer_that_ends_with_its_connection_arrives_whole(stage: InvocationStage) -> None:
    def play(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.0 200 OK\r\nX-Old: 1\r\n\r\nsome old words")
        exchange._connection.close()

    stage.replica.play = play
    answer = stage.call("GET", "/function/stage")
    assert (answer.header("X-Old"), answer.body) == ("1", b"some old words")


def test_informational_answers_are_left_out(stage: InvocationStage) -> None:
    def play(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        exchange.answer(200, [(b"X-Final", b"1")], b"done")

    stage.replica.play = play
    answer = stage.call("GET", "/function/stage")
    assert (answer.status, answer.body, answer.all("Link")) == (200, b"done", [])


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
)
def test_an_answer_that_is_not_http_is_a_502(stage: InvocationStage, answer: bytes) -> None:
    def play(exchange: Exchange) -> None:
        exchange.body()
        exchange.send(answer)
        exchange._connection.close()

    stage.replica.play = play
    reply = stage.call("POST", "/function/stage", body=b"x")
    assert reply.status == 502
    assert reply.header("X-OpenFaaS-Internal") == "gateway"
    assert "stage" in reply.text


@pytest.mark.parametrize("with_length", [True, False])
def test_an_answer_that_breaks_off_does_not_look_whole(stage: InvocationStage, with_length: bool) -> None:
    head_is_here = threading.Event()

    def play(exchange: Exchange) -> None:
        if with_length:
            exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50_000)
        else:
            exchange.begin()
            exchange.chunk(b"x" * 50_000)
        head_is_here.wait(PATIENCE)
        exchange.reset()

    stage.replica.play = play
    with stage.client() as client:
        client.request("GET", "/function/stage")
        head = client.head()
        assert head.status == 200
        head_is_here.set()
        with pytest.raises((Truncated, ConnectionError)):
            b"".join(client.pieces(head))


def test_a_broken_answer_is_one_line_in_the_log(stage: InvocationStage) -> None:
    def play(exchange: Exchange) -> None:
        exchange.begin()
        exchange.chunk(b"x")
        exchange.reset()

    stage.replica.play = play
    known = len(stage.gateway.log())
    with pytest.raises((Truncated, ConnectionError)):
        stage.call("GET", "/function/stage", [("X-Call-Id", "broken-one")])
    stage.gateway.process.wait_for_log("call_id=broken-one")
    lines = stage.gateway.log()[known:].splitlines()
    assert len([line for line in lines if "broken-one" in line or "Traceback" in line]) == 1, lines
