"""Results on their way to callback URLs."""

from __future__ import annotations

import itertools
import json
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from swarmfn import __version__
from swarmfn.jobs.outgoing import delivery_queue
from tests.support.http import Answer, Received, RecordingServer, ok
from tests.support.processes import free_port
from tests.support.queue_stage import QueueStage, invocation
from tests.support.redis_server import text
from tests.support.waiting import wait_until
from tests.support.worker_process import publish


def teapot(request: Received) -> Answer:
    own = [("Content-Type", "text/x"), ("X-Own", "1"), ("X-Call-Id", "forged"), ("X-Function-Status", "299")]
    own.append(("Idempotency-Key", "forged"))
    return 418, own, b"\x00short and stout"


def test_a_callback_carries_the_raw_answer_and_exactly_these_headers(stage: QueueStage) -> None:
    with RecordingServer(teapot) as function, RecordingServer() as receiver:
        publish(stage.redis, {"echo": function.address})
        url = f"{receiver.url}hook/x?token=1&y=%20"
        stage.submit(invocation("a", invoked_as="echo.openfaas-fn", start_time=99, callback_url=url))
        record = stage.told("a", "delivered")
    (told,) = receiver.received
    assert (told.method, told.path, told.body) == ("POST", "/hook/x?token=1&y=%20", b"\x00short and stout")
    headers = dict(told.headers)
    assert len(headers) == len(told.headers)
    assert float(headers.pop("X-Duration-Seconds")) > 0
    assert headers.pop("Idempotency-Key") == record.delivery_id
    assert headers.pop("X-Call-Hops") == "1"
    assert headers == {
        "Host": receiver.address,
        "Content-Type": "text/x",
        "Content-Length": "16",
        "X-Own": "1",
        "X-Call-Id": "a",
        "X-Start-Time": "99",
        "X-Function-Name": "echo.openfaas-fn",
        "X-Function-Status": "418",
        "User-Agent": f"swarmfn/{__version__}",
    }
    assert record.callback_state == "delivered, the receiver answered 200"
    assert record.state == "failed"


def test_a_receiver_that_is_down_gets_its_callback_once_when_it_is_up(stage: QueueStage) -> None:
    port = free_port()
    with RecordingServer() as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", callback_url=f"http://127.0.0.1:{port}/"))
        record = stage.told("a", "retrying, the receiver refused the connection")
        assert record.state == "succeeded"
        with socket.create_server(("127.0.0.1", port)) as receiver:
            receiver.settimeout(30)
            connection, _ = receiver.accept()
            with connection:
                assert connection.recv(65536).startswith(b"POST / HTTP/1.1\r\n")
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                stage.told("a", "delivered, the receiver answered 204")
    assert len(function.received) == 1


def test_a_receiver_that_fails_three_times_is_tried_a_fourth_and_the_function_runs_once(stage: QueueStage) -> None:
    count = itertools.count()

    def recovering(request: Received) -> Answer:
        return (500, [], b"") if next(count) < 3 else (200, [], b"")

    with RecordingServer() as function, RecordingServer(recovering) as receiver:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", callback_url=receiver.url))
        stage.told("a", "retrying, the receiver answered 500")
        stage.told("a", "delivered")
    assert len(receiver.received) == 4
    assert len({(request.body, tuple(request.headers)) for request in receiver.received}) == 1
    assert len(function.received) == 1
    assert stage.ledger.total("delivered") == 1


@pytest.mark.parametrize("status", [302, 307, 400, 410])
def test_redirects_and_refusals_are_final(stage: QueueStage, status: int) -> None:
    with RecordingServer() as elsewhere, RecordingServer() as function:
        publish(stage.redis, {"echo": function.address})
        refusing = RecordingServer(lambda request: (status, [("Location", elsewhere.url)], b""))
        with refusing as receiver:
            stage.submit(invocation("a", callback_url=receiver.url))
            record = stage.told("a", "failed")
        assert elsewhere.received == []
    assert len(receiver.received) == 1
    assert record.callback_state == f"failed, the receiver answered {status}"
    assert stage.counts(delivery_queue(receiver.url)) == {"failed": 1}
    assert stage.ledger.total("undelivered") == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(stage: QueueStage, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with RecordingServer() as function, socket.create_server(("127.0.0.1", 0)) as receiver:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", callback_url=f"https://127.0.0.1:{receiver.getsockname()[1]}/"))
        receiver.settimeout(30)
        connection, _ = receiver.accept()
        with connection, pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(connection, server_side=True).recv(1)
        stage.told("a", "retrying, the receiver's certificate is not accepted (self-signed certificate)")
    assert stage.record("a").state == "succeeded"


def test_user_and_password_in_the_url_become_basic_credentials(stage: QueueStage) -> None:
    forging = RecordingServer(lambda request: (200, [("Authorization", "forged")], b""))
    with forging as function, RecordingServer() as receiver:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", callback_url=f"http://us%40er:p%3Aw@{receiver.address}/x"))
        stage.told("a", "delivered, the receiver answered 200")
    (told,) = receiver.received
    assert [value for name, value in told.headers if name == "Authorization"] == ["Basic dXNAZXI6cDp3"]
    assert (told.path, told.header("Host")) == ("/x", receiver.address)


def test_a_name_that_nobody_knows_is_told(stage: QueueStage) -> None:
    with RecordingServer() as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", callback_url="http://no-such-host.invalid/"))
        stage.told("a", "retrying, the receiver's name cannot be resolved")


def test_openfaas_name_for_the_gateway_is_ours_too(stage: QueueStage, gateway_peer: RecordingServer) -> None:
    with RecordingServer() as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", callback_url="http://gateway.openfaas:8080/function/next"))
        stage.told("a", "delivered")
    assert gateway_peer.received[-1].path == "/function/next"


def test_gateway_in_a_callback_url_is_where_the_alias_says(stage: QueueStage, gateway_peer: RecordingServer) -> None:
    with RecordingServer(lambda request: (200, [], b"out")) as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", callback_url="http://gateway:8080/function/next"))
        stage.told("a", "delivered")
    told = gateway_peer.received[-1]
    assert (told.path, told.header("Host"), told.body) == ("/function/next", "gateway:8080", b"out")
    assert told.header("X-Call-Id") == "a"


def test_any_number_of_receivers_makes_a_fixed_number_of_queues(stage: QueueStage) -> None:
    with RecordingServer() as function, RecordingServer() as receiver:
        publish(stage.redis, {"echo": function.address})
        for number in range(300):
            stage.submit(invocation(f"r{number}", callback_url=f"{receiver.url}function/r{number}"))
        wait_until(lambda: stage.ledger.total("delivered") == 300)
    names = {text(name) for name in stage.redis.smembers("rq:queues")}
    assert len(names) <= 65
    assert {name for name in names if name.count(":") > 3} == set()


def test_a_receiver_that_never_answers_holds_up_nobody_else(stage: QueueStage) -> None:
    with RecordingServer() as function, RecordingServer() as receiver, socket.create_server(("127.0.0.1", 0)) as mute:
        publish(stage.redis, {"echo": function.address})
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        for number in range(20):
            stage.submit(invocation(f"m{number}", callback_url=url))
        same_queue = _on_queue(delivery_queue(url), receiver.url)
        for number in range(20):
            stage.submit(invocation(f"c{number}", callback_url=same_queue))
        for number in range(20):
            stage.told(f"c{number}", "delivered")
        record = stage.told("m0", "retrying, the receiver did not answer in time")
        assert record.state == "succeeded"
    assert len(function.received) == 40


def test_a_receiver_that_never_answers_has_but_a_few_callbacks_in_flight(stage: QueueStage) -> None:
    """More of them wait here than one process has calls of a queue in flight."""
    with RecordingServer() as function, RecordingServer() as receiver, socket.create_server(("127.0.0.1", 0)) as mute:
        publish(stage.redis, {"echo": function.address})
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        for number in range(150):
            stage.submit(invocation(f"m{number}", callback_url=url))
        wait_until(lambda: stage.ledger.total("succeeded") == 150)
        wait_until(lambda: stage.counts(delivery_queue(url)).get("started") == 20, message="the others are put off")
        for number in range(50):
            stage.submit(invocation(f"c{number}", callback_url=_on_queue(delivery_queue(url), receiver.url)))
        wait_until(lambda: len(receiver.received) == 50)
        wait_until(lambda: stage.counts(delivery_queue(url))["started"] <= 20)
        assert all(failures <= offers for failures, offers in _failures_and_offers(stage, 150))


def _on_queue(queue: str, url: str) -> str:
    """A URL of the same receiver whose deliveries are on `queue`."""
    paths = (f"{url.rstrip('/')}/function/f{number}" for number in range(10_000))
    return next(path for path in paths if delivery_queue(path) == queue)


def _failures_and_offers(stage: QueueStage, calls: int) -> list[tuple[int, int]]:
    """Of each delivery: being put off for want of room is neither."""
    deliveries = [text(stage.redis.hget(f"rq:job:m{number}", "delivery")) for number in range(calls)]
    jobs = (stage.redis.hmget(f"rq:job:{delivery}", "failures", "attempts") for delivery in deliveries)
    return [(int(failures or 0), len(json.loads(attempts or b"[]"))) for failures, attempts in jobs]


def test_a_receiver_is_left_alone_as_long_as_it_asks(stage: QueueStage) -> None:
    count = itertools.count()
    times = []

    def busy_once(request: Received) -> Answer:
        times.append(time.monotonic())
        return (503, [("Retry-After", "3")], b"") if next(count) < 1 else (200, [], b"")

    with RecordingServer() as function, RecordingServer(busy_once) as receiver:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", callback_url=receiver.url))
        stage.told("a", "delivered")
    assert times[1] - times[0] >= 2.9


def test_a_receiver_whose_answer_breaks_off_has_been_told(stage: QueueStage) -> None:
    with RecordingServer() as function, socket.create_server(("127.0.0.1", 0)) as receiver:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", callback_url=f"http://127.0.0.1:{receiver.getsockname()[1]}/"))
        receiver.settimeout(30)
        connection, _ = receiver.accept()
        with connection:
            assert connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbreaks off")
        stage.told("a", "delivered")


def test_callbacks_wait_for_a_worker_in_rqs_sight(stage: QueueStage) -> None:
    with RecordingServer(ok) as function, RecordingServer() as receiver:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", callback_url=receiver.url))
        record = stage.told("a", "delivered")
        job = stage.job(record.delivery_id)
        wait_until(lambda: job.get_status() == "finished")
    assert job.description == "callback of a"
    assert job.return_value() == "callback delivered, the receiver answered 200"
