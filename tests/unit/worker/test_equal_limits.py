"""Exchanges with somebody who counts the same seconds: what comes of them does not depend on who is first."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from swarmfn.upstream import Upstream
from swarmfn.wire.callback_guard import OFF, parse_guard
from swarmfn.wire.replicas import Route
from tests.support.http import Answer as Told
from tests.support.http import Received, RecordingServer
from tests.support.queue_stage import delivery, invocation
from worker.attempts import FunctionCaller
from worker.budget import GrowingBudget
from worker.decisions import Answer, Failure
from worker.deliveries import CallbackSender
from worker.signatures import Signer

LIMIT = 1.0
LATE = 0.94


def outcome(answer: Told, after: float) -> Answer | Failure:
    """Of a callback to somebody who answers so late."""

    def play(request: Received) -> Told:
        time.sleep(after)
        return answer

    async def scenario(url: str) -> Answer | Failure:
        upstream = Upstream()
        sender = CallbackSender(upstream, {}, LIMIT, Signer(lambda: None), parse_guard(OFF, ""))
        try:
            return await sender.deliver(delivery("cb_1", "a", url), b"result")
        finally:
            await upstream.close()

    with RecordingServer(play) as receiver:
        return asyncio.run(scenario(receiver.url))


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        ((504, [], b"upstream_timeout"), LATE),
        ((408, [], b"Killed process.\n"), LATE),
        ((500, [], b"Killed process.\n"), LATE),
        ((200, [], b""), LIMIT + 0.2),
    ],
)
def test_a_receiver_that_gives_up_when_we_do_has_not_answered_in_time(answer: Told, after: float) -> None:
    result = outcome(answer, after)
    assert isinstance(result, Failure)
    assert (result.problem, result.reason) == ("the receiver did not answer in time", "timeout")
    assert not result.is_hopeless


@pytest.mark.parametrize(("status", "after"), [(504, 0.0), (500, LATE), (200, LATE)])
def test_every_other_answer_is_what_it_says(status: int, after: float) -> None:
    result = outcome((status, [], b"said so"), after)
    assert isinstance(result, Answer)
    assert result.status == status


def test_a_receiver_that_closes_when_our_time_is_up_has_not_answered_in_time() -> None:
    async def scenario(listener: socket.socket) -> Answer | Failure:
        upstream = Upstream()
        sender = CallbackSender(upstream, {}, LIMIT, Signer(lambda: None), parse_guard(OFF, ""))
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(sender.deliver(delivery("cb_1", "a", url), b"result"))
        connection, _ = await loop.sock_accept(listener)
        with connection:
            await asyncio.sleep(LATE)
        try:
            return await task
        finally:
            await upstream.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        result = asyncio.run(scenario(listener))
    assert isinstance(result, Failure)
    assert result.problem == "the receiver did not answer in time"


def call(address: str, exec_timeout: float) -> Answer | Failure:
    async def scenario() -> Answer | Failure:
        upstream = Upstream()
        caller = FunctionCaller(upstream, 2**20, 2**20, GrowingBudget(2**20))
        table = {"echo": Route("echo", (address,), 1, exec_timeout, "echo")}
        try:
            return await caller.invoke(table, invocation("a", exec_timeout=exec_timeout), b"", 1, "a")
        finally:
            await upstream.close()

    return asyncio.run(scenario())


def test_a_server_that_the_watchdog_gave_up_is_recorded_as_every_run_past_exec_timeout() -> None:
    def play(request: Received) -> Told:
        time.sleep(LATE)
        return 504, [("X-Duration-Seconds", "0.94")], b""

    with RecordingServer(play) as function:
        result = call(function.address, LIMIT)
    assert isinstance(result, Answer)
    assert (result.status, result.headers, result.body) == (504, [], b"")


def test_a_replica_that_cannot_be_connected_to_was_not_called_however_short_the_limit() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        # With its queue full, it answers nobody who wants to connect.
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        result = call(f"127.0.0.1:{address[1]}", 0.3)
        for one in waiting:
            one.close()
    assert isinstance(result, Failure)
    assert (result.problem, result.is_answered) == ("its replicas could not be reached in time", False)
