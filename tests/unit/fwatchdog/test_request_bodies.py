from __future__ import annotations

import asyncio

import pytest

from fwatchdog.http.request_bodies import LengthDecoder, RequestBody
from swarmfn.wire.chunks import ChunkedDecoder
from swarmfn.wire.request_heads import BadRequest

CHUNKED = b'4\r\nWiki\r\n6;ext="v"\r\npedia \r\n00E\r\nin \r\n\r\nchunks.\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n'
TEXT = b"Wikipedia in \r\n\r\nchunks."


def test_length_decoder_leaves_what_follows() -> None:
    decoder = LengthDecoder(5)
    assert decoder.feed(b"abc") == ([b"abc"], b"")
    assert not decoder.done
    assert decoder.feed(b"defgh") == ([b"de"], b"fgh")
    assert decoder.done


def test_body_of_no_length_is_done_at_once() -> None:
    assert LengthDecoder(0).done


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_chunks_are_put_together_however_they_arrive(size: int) -> None:
    decoder, body, rest = ChunkedDecoder(), b"", b""
    data = CHUNKED + b"GET"
    for start in range(0, len(data), size):
        if decoder.done:
            rest += data[start : start + size]
            continue
        pieces, rest = decoder.feed(data[start : start + size])
        body += b"".join(pieces)
    assert decoder.done
    assert body == TEXT
    assert rest == b"GET"


@pytest.mark.parametrize(
    "data",
    [
        b"g\r\n",
        b"\r\n",
        b" 1\r\na",
        b"-1\r\n",
        b"1_0\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b"1\n",
        b"1;\x00\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n",
        b"f" * 16 + b"\r\n",
        b"1;" + b"x" * 5000,
        b"0\r\n" + b"Trailer: x\r\n" * 2000,
        b"0\r\nno trailer\r\n",
        b"0\r\nContent-Length: 1\r\n",
        b"1 \r\na",
        b"1;=b\r\na",
    ],
)
def test_malformed_chunks_are_refused(data: bytes) -> None:
    with pytest.raises(BadRequest):
        ChunkedDecoder().feed(data)


def test_servers_may_pad_a_chunks_size() -> None:
    decoder = ChunkedDecoder(is_lenient=True)
    assert decoder.feed(b"2  \r\nok\r\n0 ; x\r\nContent-Length: 1\r\n\r\n") == ([b"ok"], b"")
    assert decoder.done


def new_body(calls: list[str] | None = None) -> RequestBody:
    notes = [] if calls is None else calls
    return RequestBody(lambda: notes.append("wanted"), lambda: notes.append("room"))


async def test_reader_gets_pieces_as_they_arrive_and_then_the_end() -> None:
    body = new_body()
    reading = asyncio.ensure_future(_read_to_end(body))
    for piece in (b"a", b"b"):
        await asyncio.sleep(0)
        body.push([piece])
    body.finish()
    assert await reading == [b"a", b"b"]


async def test_sender_is_asked_only_when_the_reader_waits() -> None:
    calls: list[str] = []
    body = new_body(calls)
    body.push([b"a"])
    assert await body.read() == b"a"
    assert calls == ["room"]
    reading = asyncio.ensure_future(body.read())
    await asyncio.sleep(0)
    assert calls == ["room", "wanted"]
    body.finish()
    assert await reading == b""


async def test_all_of_a_body_can_be_read_at_once() -> None:
    body = new_body()
    body.push([b"a", b"b"])
    assert body.unread == 2
    reading = asyncio.ensure_future(body.read_all())
    await asyncio.sleep(0)
    assert body.unread == 0
    body.push([b"c"])
    body.finish()
    assert await reading == [b"a", b"b", b"c"]


async def test_discarded_body_keeps_nothing() -> None:
    body = new_body()
    body.push([b"a"])
    body.discard()
    body.push([b"b"])
    assert body.unread == 0
    assert body.take() == []


async def _read_to_end(body: RequestBody) -> list[bytes]:
    pieces = []
    while piece := await body.read():
        pieces.append(piece)
    return pieces
