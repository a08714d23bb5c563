"""Requests as they are read, in whatever pieces they come, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import ClassVar

import pytest

from gateway.fastlane.exchange import Exchange
from gateway.fastlane.refusals import ENDLESS, MALFORMED, TOO_LARGE, Refusal
from gateway.fastlane.request_reader import Reading, RequestReader
from gateway.request_limits import RequestLimits
from swarmfn.upstream.deadlines import DeadlineTimer

HEAD_SIZE = 1000
READ_TIMEOUT = 30.0
NOW = 100.0


class Recorder:
    """A connection that has requests read, and answers none."""

    exchange: ClassVar[type[Exchange]] = Exchange
    is_full = False
    client = "192.0.2.1"
    port = 8080

    def __init__(self, loop: asyncio.AbstractEventLoop, is_reserved: bool = False) -> None:
        self.timer = DeadlineTimer(loop, lambda: None)
        self.exchanges: list[Exchange] = []
        self.late_ends = 0
        limits = RequestLimits(READ_TIMEOUT, 60, head_size=HEAD_SIZE)
        self.reader = RequestReader(self, limits, self.timer, lambda: NOW, is_reserved)

    def feed(self, *pieces: bytes) -> Refusal | None:
        """Feeds one after the other until one is refused."""
        return next((refusal for piece in pieces if (refusal := self.reader.feed(piece)) is not None), None)

    def on_request(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    def on_late_end(self) -> None:
        self.late_ends += 1

    def write(self, data: bytes) -> None:
        raise AssertionError

    def pause_reading(self) -> None:
        raise AssertionError

    def resume_reading(self) -> None:
        raise AssertionError

    def on_answered(self, exchange: Exchange) -> None:
        raise AssertionError

    def on_ended(self, exchange: Exchange) -> None:
        raise AssertionError

    def cut_off(self, exchange: Exchange) -> None:
        raise AssertionError

    async def drain(self) -> None:
        raise AssertionError


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def recorder(loop: asyncio.AbstractEventLoop) -> Recorder:
    return Recorder(loop)


def request(headers: bytes = b"", body: bytes = b"", line: bytes = b"POST /function/f?a=b HTTP/1.1") -> bytes:
    return line + b"\r\nHost: x\r\n" + headers + b"\r\n" + body


def length(size: int) -> bytes:
    return b"Content-Length: %d\r\n" % size


CHUNKED = b"Transfer-Encoding: chunked\r\n"


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


@pytest.mark.parametrize("is_bytewise", [False, True], ids=["in one piece", "byte by byte"])
@pytest.mark.parametrize(
    ("data", "expected_length"),
    [
        (request(length(4), b"body"), 4),
        (request(CHUNKED, b"2\r\nbo\r\n2;x=y\r\ndy\r\n0\r\nX-Trailer: t\r\n\r\n"), None),
        (request(b"Transfer-Encoding: \tchunked\t\r\n", b"4\r\nbody\r\n0\r\n\r\n"), None),
        (request(b"Connection: upgrade\r\nUpgrade: h2c\r\n" + length(4), b"body"), 4),
        (b"\r\n\r\n" + request(length(4), b"body", b"POST http://else.where/function/f?a=b HTTP/1.1"), 4),
    ],
    ids=["with a length", "in chunks", "with a coding behind a tab", "with an upgrade", "with an absolute target"],
)
def test_a_request_is_the_same_however_it_comes(
    recorder: Recorder, data: bytes, expected_length: int | None, is_bytewise: bool
) -> None:
    for _ in range(2):
        assert recorder.feed(*(bytewise(data) if is_bytewise else [data])) is None
        assert recorder.reader.reading is Reading.NOTHING
        exchange = recorder.exchanges.pop()
        assert (exchange.method, exchange.path, exchange.query) == ("POST", b"/function/f", b"a=b")
        assert (exchange.client, exchange.port) == (recorder.client, recorder.port)
        assert exchange.length == expected_length
        assert exchange.whole_body() == b"body"
        assert not exchange.wants_continue
        names = [name for name, _ in exchange.headers]
        assert b"upgrade" not in names
        assert b"x-trailer" not in names
        assert not recorder.exchanges


def test_several_requests_may_come_in_one_piece(recorder: Recorder) -> None:
    assert recorder.feed(request(length(1), b"1") + request(length(1), b"2") + b"GET") is None
    assert [exchange.whole_body() for exchange in recorder.exchanges] == [b"1", b"2"]
    assert recorder.reader.reading is Reading.HEAD


@pytest.mark.parametrize(
    ("data", "is_http_1_1", "keep_alive"),
    [
        (request(), True, True),
        (request(b"Connection: close\r\n"), True, False),
        (request(line=b"GET / HTTP/1.2"), True, True),
        (request(line=b"GET / HTTP/1.0"), False, False),
    ],
)
def test_what_comes_after_a_last_request_is_ignored(
    recorder: Recorder, data: bytes, is_http_1_1: bool, keep_alive: bool
) -> None:
    assert recorder.feed(data + request()) is None
    exchange = recorder.exchanges[0]
    assert (exchange.is_http_1_1, exchange.keep_alive) == (is_http_1_1, keep_alive)
    assert len(recorder.exchanges) == 1 + keep_alive


def test_a_client_that_holds_back_its_body_is_understood(recorder: Recorder) -> None:
    recorder.feed(request(length(4) + b"Expect: 100-continue\r\n"))
    assert recorder.exchanges[0].wants_continue
    assert recorder.exchanges[0].whole_body() is None


def test_it_tells_how_far_a_request_has_come(recorder: Recorder) -> None:
    reader, (head, body) = recorder.reader, (request(length(4)), b"body")
    stages = []
    for piece in (b"\r\n", head[:20], head[20:], body[:2], body[2:]):
        assert reader.feed(piece) is None
        stages.append((reader.reading, reader.receiving is not None))
    assert stages == [
        (Reading.NOTHING, False),
        (Reading.HEAD, False),
        (Reading.BODY, True),
        (Reading.BODY, True),
        (Reading.NOTHING, False),
    ]


def test_a_request_has_its_time_from_its_first_byte_to_its_last(recorder: Recorder) -> None:
    recorder.timer.set(1000.0)
    recorder.feed(b"\r\n")
    assert recorder.timer.deadline == 1000.0
    recorder.feed(b"P")
    assert recorder.timer.deadline == NOW + READ_TIMEOUT
    recorder.feed(request(length(2), b"o")[1:])
    assert recorder.timer.deadline == NOW + READ_TIMEOUT
    recorder.feed(b"k")
    assert recorder.timer.deadline is None


def test_time_that_runs_already_is_not_given_again(loop: asyncio.AbstractEventLoop) -> None:
    recorder = Recorder(loop, is_reserved=True)
    recorder.timer.set(1000.0)
    recorder.feed(b"POST")
    assert recorder.timer.deadline == 1000.0


def test_the_connection_hears_of_the_rest_of_a_request_that_was_answered(recorder: Recorder) -> None:
    recorder.feed(request(length(2), b"o"))
    recorder.exchanges[0].leave()
    recorder.feed(b"k" + request(length(0)))
    assert recorder.late_ends == 1


@pytest.mark.parametrize("excess", [0, 1])
def test_a_head_is_limited_by_its_target_and_headers(recorder: Recorder, excess: int) -> None:
    size = HEAD_SIZE - len(b"/" + b"Host: x\r\n" + b"X: \r\n")
    refusal = recorder.feed(request(b"X: %b\r\n" % (b"x" * (size + excess)), line=b"GET / HTTP/1.1"))
    assert refusal is (TOO_LARGE if excess else None)


def test_a_head_without_end_is_too_large(recorder: Recorder) -> None:
    assert recorder.feed(b"GET / HTTP/1.1\r\nX: ", b"x" * (HEAD_SIZE - 19)) is None
    assert recorder.feed(b"x") is TOO_LARGE


def test_empty_lines_without_end_are_too_large(recorder: Recorder) -> None:
    assert recorder.feed(b"\r\n" * (HEAD_SIZE // 2)) is None
    assert recorder.feed(b"\r\n") is TOO_LARGE


def test_a_head_behind_a_large_body_is_not_too_large(recorder: Recorder) -> None:
    body = b"x" * (2 * HEAD_SIZE)
    assert recorder.feed(request(length(len(body)), body) + b"GET / HT") is None
    assert recorder.feed(b"TP/1.1\r\nHost: x\r\n\r\n") is None
    assert len(recorder.exchanges) == 2


def test_what_is_not_the_body_is_limited(recorder: Recorder) -> None:
    assert recorder.feed(request(CHUNKED), b"1\r\na\r\n0\r\n", b"X: ", b"x" * (HEAD_SIZE - 3)) is None
    assert recorder.feed(b"x") is ENDLESS


def test_a_body_in_small_chunks_is_not_limited(recorder: Recorder) -> None:
    recorder.feed(request(CHUNKED))
    for _ in range(HEAD_SIZE):
        assert recorder.feed(b"1\r\n", b"a\r\n") is None


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request(line=b"GET / RTSP/1.0"), 400),
        (request(length(0), line=b"GET / HTTP/1.1") + request(line=b"GET / ICE/1.0"), 400),
        (request(line=b"GET  / HTTP/1.1"), 400),
        (request(line=b"GET / HTTP/2.0"), 505),
        (request(line=b"GET ftp://x/ HTTP/1.1"), 400),
        (request(line=b"GET * HTTP/1.1"), 400),
        (request(line=b"GET /%00 HTTP/1.1"), 400),
        (request(b"Host: x\r\n"), 400),
        (request(CHUNKED, line=b"POST / HTTP/1.0"), 400),
        (request(CHUNKED + CHUNKED), 400),
        (request(b"Transfer-Encoding: gzip\r\n"), 501),
        (request(line=b"CONNECT x:80 HTTP/1.1"), 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
    ],
)
def test_what_is_not_a_proper_request_is_refused(recorder: Recorder, data: bytes, status: int) -> None:
    refusal = recorder.feed(data)
    assert refusal is not None
    assert refusal.answer().startswith(b"HTTP/1.1 %d " % status)


def test_what_is_not_http_at_all_is_refused(recorder: Recorder) -> None:
    assert recorder.feed(b"\x16\x03\x01") is MALFORMED
