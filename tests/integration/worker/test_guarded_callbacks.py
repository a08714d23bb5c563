"""A worker that keeps callbacks out of the operator's network, whatever the gateway let through."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from swarmfn.jobs.outgoing import delivery_queue
from swarmfn.upstream import Names, Upstream
from swarmfn.wire.callback_guard import PRIVATE, parse_guard
from tests.support.http import RecordingServer
from tests.support.queue_stage import QueueStage, delivery, invocation
from tests.support.worker_process import WorkerProcess, publish
from worker.decisions import Answer, Failure
from worker.deliveries import CallbackSender
from worker.signatures import Signer

REFUSED = "failed, callbacks to the receiver are not allowed (callback_guard)"


@pytest.fixture
def function(bare_stage: QueueStage) -> Iterator[RecordingServer]:
    with RecordingServer(lambda request: (200, [], b"out")) as function:
        publish(bare_stage.redis, {"echo": function.address})
        yield function


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"])
def test_a_callback_into_the_network_fails_visibly_and_nobody_is_connected_to(
    bare_stage: QueueStage, tmp_path: Path, function: RecordingServer, host: str
) -> None:
    stage = bare_stage
    with RecordingServer() as receiver:
        url = f"http://{host}:{receiver.port}/"
        stage.submit(invocation("a", callback_url=url))
        with WorkerProcess(stage.server, tmp_path, callback_guard="private"):
            record = stage.told("a", "failed")
        assert receiver.received == []
    assert record.callback_state == REFUSED
    assert record.state == "succeeded"
    assert stage.counts(delivery_queue(url)) == {"failed": 1}
    assert stage.ledger.total("undelivered") == 1


def test_what_is_listed_and_the_platforms_own_gateway_are_reached(
    bare_stage: QueueStage, tmp_path: Path, function: RecordingServer
) -> None:
    stage = bare_stage
    with RecordingServer() as by_name, RecordingServer() as gateway, RecordingServer() as other:
        settings = {
            "callback_guard": "listed",
            "callback_allow": "localhost",
            "host_aliases": f"gateway:8080={gateway.address}",
        }
        stage.submit(invocation("a", callback_url=f"http://localhost:{by_name.port}/"))
        stage.submit(invocation("b", callback_url="http://gateway:8080/function/next"))
        stage.submit(invocation("c", callback_url=other.url))
        with WorkerProcess(stage.server, tmp_path, **settings):
            stage.told("a", "delivered")
            stage.told("b", "delivered")
            assert stage.told("c", "failed").callback_state == REFUSED
        assert [len(server.received) for server in (by_name, gateway, other)] == [1, 1, 0]


@pytest.mark.parametrize("guard", ["off", "private"])
def test_management_of_the_platforms_own_gateway_is_reached_by_no_name_of_it(
    bare_stage: QueueStage, tmp_path: Path, function: RecordingServer, guard: str
) -> None:
    stage = bare_stage
    with RecordingServer() as gateway:
        settings = {"callback_guard": guard, "host_aliases": f"gateway:8080={gateway.address}"}
        urls = ["http://gateway:8080/system/functions", f"{gateway.url}/ui/rq/requeue/a"]
        for number, url in enumerate(urls):
            stage.submit(invocation(f"a{number}", callback_url=url))
        with WorkerProcess(stage.server, tmp_path, **settings):
            states = [stage.told(f"a{number}", "failed").callback_state for number in range(len(urls))]
        assert gateway.received == []
    assert set(states) == {"failed, on this platform's own gateway a callback can only call functions"}


def test_a_listed_network_is_reached(bare_stage: QueueStage, tmp_path: Path, function: RecordingServer) -> None:
    stage = bare_stage
    with RecordingServer() as receiver:
        stage.submit(invocation("a", callback_url=receiver.url))
        with WorkerProcess(stage.server, tmp_path, callback_guard="private", callback_allow="127.0.0.0/8"):
            stage.told("a", "delivered")
    assert len(receiver.received) == 1


def test_a_name_that_is_public_when_it_is_checked_and_private_when_it_is_used_gains_nothing() -> None:
    """DNS rebinding, with a real receiver to be reached by mistake."""
    answers = iter([("93.184.216.34",), ("127.0.0.1",)])

    def lookup(host: str) -> Sequence[str]:
        return next(answers)

    async def scenario(port: int) -> Answer | Failure:
        guard = parse_guard(PRIVATE, "")
        # The gateway's look, some time before.
        (seen,) = await Names(lookup).addresses("rebinding.example")
        assert guard.permits(seen)
        upstream = Upstream()
        sender = CallbackSender(upstream, {}, 5.0, Signer(lambda: None), guard)
        sender._guarded._names = Names(lookup)
        try:
            return await sender.deliver(delivery("cb_1", "a", f"http://rebinding.example:{port}/"), b"secret")
        finally:
            await sender.close()
            await upstream.close()

    with RecordingServer() as receiver:
        result = asyncio.run(scenario(receiver.port))
        assert receiver.received == []
    assert isinstance(result, Failure)
    assert result.is_hopeless
