"""/function/NAME: bodies pass through piece by piece, both ways, without being held."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import PATIENCE, request_bytes
from tests.support.staged_replica import Exchange

MEGABYTE = 1 << 20


def test_each_event_of_a_stream_arrives_before_the_next_one_is_sent(stage: InvocationStage) -> None:
    arrived = threading.Semaphore(0)

    def play(exchange: Exchange) -> None:
        exchange.begin((b"Content-Type", b"text/event-stream"))
        for number in range(5):
            exchange.chunk(b"data: %d\n\n" % number)
            assert arrived.acquire(timeout=PATIENCE)
        exchange.chunk(b"")

    stage.replica.play = play
    with stage.client() as client:
        client.request("GET", "/function/stage")
        head = client.head()
        assert head.header("Content-Type") == "text/event-stream"
        events = []
        for piece in client.pieces(head):
            events.append(piece)
            arrived.release()
    assert events == [b"data: %d\n\n" % number for number in range(5)]


def test_the_head_of_an_answer_arrives_before_its_body(stage: InvocationStage) -> None:
    head_is_here = threading.Event()

    def play(exchange: Exchange) -> None:
        exchange.begin()
        assert head_is_here.wait(PATIENCE)
        exchange.chunk(b"body")
        exchange.chunk(b"")

    stage.replica.play = play
    with stage.client() as client:
        client.request("GET", "/function/stage")
        head = client.head()
        head_is_here.set()
        assert b"".join(client.pieces(head)) == b"body"


def test_a_large_download_arrives_whole_and_is_not_held_in_memory(stage: InvocationStage) -> None:
    block, count = bytes(range(256)) * 4096, 100
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (count * len(block))

    def play(exchange: Exchange) -> None:
        exchange.send(head)
        for _ in range(count):
            exchange.send(block)

    stage.replica.play = play
    before = resident(stage)
    digest, size = hashlib.sha256(), 0
    with stage.client() as client:
        client.request("GET", "/function/stage")
        length = int(client.head().header("Content-Length") or 0)
        while size < length:
            piece = client.exactly(min(MEGABYTE, length - size))
            size += len(piece)
            digest.update(piece)
    assert digest.digest() == hashlib.sha256(block * count).digest()
    assert peak(stage) - before < 30 * MEGABYTE


def test_a_large_upload_arrives_whole(stage: InvocationStage) -> None:
    # On Flask all of it counts towards the stage's upload_budget.
    block, count = bytes(range(256)) * 4096, 50 if stage.streams_uploads else 35
    digest, total = hashlib.sha256(), count * len(block)

    def play(exchange: Exchange) -> None:
        size = 0
        while size < total:
            piece = exchange.piece()
            size += len(piece)
            digest.update(piece)
        exchange.answer(body=digest.hexdigest().encode())

    stage.replica.play = play
    with stage.client() as client:
        client.send(request_bytes("POST", "/function/stage", [("Content-Length", str(total))]))
        for _ in range(count):
            client.send(block)
        assert client.answer().text == hashlib.sha256(block * count).hexdigest()


def test_a_large_asynchronous_body_is_held_once(stage: InvocationStage) -> None:
    size = 20 * MEGABYTE
    before = resident(stage)
    assert stage.call("POST", "/async-function/stage", body=bytes(size)).status == 202
    assert peak(stage) - before < 1.6 * size


@pytest.mark.parametrize("data_plane", ["fastlane"], indirect=True, scope="session")
class TestFastLane:
    """What waitress, which serves the Flask front end, cannot do: it takes a whole request before the app sees it."""

    def test_an_upload_reaches_the_function_while_it_is_sent(self, stage: InvocationStage) -> None:
        arrived = threading.Semaphore(0)

        def play(exchange: Exchange) -> None:
            for _ in range(3):
                assert exchange.piece()
                arrived.release()
            exchange.answer(body=b"all three")

        stage.replica.play = play
        with stage.client() as client:
            client.send(request_bytes("POST", "/function/stage", [("Content-Length", "210000")]))
            for _ in range(3):
                client.send(b"x" * 70_000)
                assert arrived.acquire(timeout=PATIENCE)
            assert client.answer().body == b"all three"

    def test_200_megabytes_of_upload_are_never_held_in_memory(self, stage: InvocationStage) -> None:
        block, count = bytes(MEGABYTE), 200
        total = count * len(block)
        is_open = threading.Event()

        def play(exchange: Exchange) -> None:
            assert is_open.wait(PATIENCE)
            size = 0
            while size < total:
                size += len(exchange.piece())
            exchange.answer(body=b"%d" % size)

        stage.replica.play = play
        before = resident(stage)
        with stage.client() as client:

            def send() -> None:
                for _ in range(count):
                    client.send(block)

            client.send(request_bytes("POST", "/function/stage", [("Content-Length", str(total))]))
            sender = threading.Thread(target=send)
            sender.start()
            is_open.set()
            sender.join()
            assert client.answer().body == b"%d" % total
        assert peak(stage) - before < 30 * MEGABYTE

    def test_a_function_may_answer_before_it_has_read_the_upload(self, stage: InvocationStage) -> None:
        stage.replica.play = lambda exchange: exchange.answer(413, [(b"Connection", b"close")], b"too much")
        with stage.client() as client:
            client.send(request_bytes("POST", "/function/stage", [("Content-Length", "100000000")]))
            client.send(bytes(100_000))
            answer = client.answer()
        assert (answer.status, answer.body) == (413, b"too much")

    def test_both_directions_flow_at_once(self, stage: InvocationStage) -> None:
        def play(exchange: Exchange) -> None:
            exchange.begin()
            for _ in range(3):
                exchange.chunk(b"got %d" % len(exchange.piece()))
            exchange.chunk(b"")

        stage.replica.play = play
        with stage.client() as client:
            client.send(request_bytes("POST", "/function/stage", [("Transfer-Encoding", "chunked")]))
            client.send(b"1\r\na\r\n")
            head = client.head()
            pieces = client.pieces(head)
            assert next(pieces) == b"got 6"
            client.send(b"2\r\nbb\r\n")
            assert next(pieces) == b"got 7"
            client.send(b"0\r\n\r\n")
            assert list(pieces) == [b"got 5"]


def resident(stage: InvocationStage) -> int:
    """Bytes of memory the gateway's process has now; `peak` starts again."""
    process = Path(f"/proc/{stage.gateway.process.pid}")
    (process / "clear_refs").write_text("5")
    return _memory(process, "VmRSS")


def peak(stage: InvocationStage) -> int:
    """The most it had since `resident` was called."""
    return _memory(Path(f"/proc/{stage.gateway.process.pid}"), "VmHWM")


def _memory(process: Path, field: str) -> int:
    line = next(line for line in (process / "status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024
