"""Clients that close their half of the connection once they have asked: they get their answer, and those that have left
are told from them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.contract.http_api.test_invoke_failures import in_flight
from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import PATIENCE, RawClient, request_bytes
from tests.support.staged_replica import Exchange
from tests.support.waiting import wait_until

pytestmark = pytest.mark.parametrize("data_plane", ["fastlane"], indirect=True, scope="session")


@contextmanager
def half_closed(stage: InvocationStage, data: bytes) -> Iterator[RawClient]:
    with stage.client() as client:
        client.send(data)
        client.socket.shutdown(socket.SHUT_WR)
        yield client


@pytest.mark.parametrize(
    ("target", "status", "body"), [("/function/cat", 200, b"hello"), ("/async-function/cat", 202, b"")]
)
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_a_quick_call_is_answered_and_the_connection_closed(
    stage: InvocationStage, target: str, status: int, body: bytes, version: bytes
) -> None:
    data = request_bytes("POST", target, body=b"hello").replace(b"HTTP/1.1", b"HTTP/" + version, 1)
    with half_closed(stage, data) as client:
        answer = client.answer("POST")
        assert (answer.status, answer.body) == (status, body)
        assert client.rest() == b""


def test_every_request_that_came_whole_is_answered_and_no_other(stage: InvocationStage) -> None:
    whole = [request_bytes("POST", "/function/stage", body=b"%d" % number) for number in range(3)]
    cut = request_bytes("POST", "/function/stage", [("Content-Length", "9")]) + b"some"
    with half_closed(stage, b"".join(whole) + cut) as client:
        assert [client.answer("POST").body for _ in range(3)] == [b"0", b"1", b"2"]
        assert client.rest() == b""


def test_a_slow_call_is_waited_for_with_informational_answers(stage: InvocationStage) -> None:
    may_end = threading.Event()

    def play(exchange: Exchange) -> None:
        assert may_end.wait(PATIENCE)
        exchange.answer(body=b"at last")

    stage.replica.play = play
    with half_closed(stage, request_bytes("GET", "/function/stage")) as client:
        assert [client.head().status for _ in range(2)] == [102, 102]
        may_end.set()
        while (head := client.head()).status == 102:
            pass
        assert (head.status, b"".join(client.pieces(head))) == (200, b"at last")


def test_a_stream_that_goes_on_is_not_spoiled(stage: InvocationStage) -> None:
    arrived = threading.Semaphore(0)

    def play(exchange: Exchange) -> None:
        exchange.begin()
        for number in range(8):
            exchange.chunk(b"%d" % number)
            arrived.acquire(timeout=0.2)  # the pauses are the point: the client is looked for in between
        exchange.chunk(b"")

    stage.replica.play = play
    with half_closed(stage, request_bytes("GET", "/function/stage")) as client:
        assert client.answer().body == b"01234567"


@pytest.mark.parametrize(
    ("has_begun", "reads"), [(False, False), (True, False), (True, True)], ids=["waiting", "unread", "read"]
)
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_the_run_of_a_client_that_has_left_is_stopped(
    stage: InvocationStage, has_begun: bool, version: bytes, reads: bool
) -> None:
    def play(exchange: Exchange) -> None:
        if has_begun:
            exchange.begin()
            exchange.chunk(b"some")
        exchange.wait_for_end()

    stage.replica.play = play
    data = request_bytes("POST", "/function/stage", body=b"x").replace(b"HTTP/1.1", b"HTTP/" + version, 1)
    with stage.client() as client:
        client.send(data)
        wait_until(lambda: in_flight(stage, "stage") == 1, message="the call is on its way")
        if reads:
            client.head()
            # With nothing left to read, its system says no more than that it sends no more.
            client.exactly(len(b"4\r\nsome\r\n") if version == b"1.1" else len(b"some"))
    wait_until(lambda: in_flight(stage, "stage") == 0, message="the run was stopped")


def test_a_client_that_leaves_after_all_is_noticed(stage: InvocationStage) -> None:
    stage.replica.play = Exchange.wait_for_end
    with half_closed(stage, request_bytes("GET", "/function/stage")) as client:
        assert [client.head().status for _ in range(2)] == [102, 102]
    wait_until(lambda: in_flight(stage, "stage") == 0, message="the run was stopped")
