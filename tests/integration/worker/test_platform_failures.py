"""What is not the function's fault is tried again, and what cannot be run is seen to fail."""

from __future__ import annotations

import itertools
import socket
from pathlib import Path

from rq import Queue
from rq.job import JobStatus
from rq.suspension import resume, suspend

from swarmfn.jobs.layout import JOB_DATA
from tests.support.http import Answer, Received, RecordingServer, ok
from tests.support.processes import free_port
from tests.support.queue_stage import QueueStage, invocation
from tests.support.waiting import wait_until
from tests.support.worker_process import publish


def test_a_call_waits_for_a_replica_and_the_waiting_is_no_attempt(stage: QueueStage) -> None:
    publish(stage.redis, {"echo": ()})
    stage.submit("a", b"hello")
    wait_until(lambda: stage.record("a").platform_failures >= 2, message="two failures of the platform")
    with RecordingServer() as function:
        publish(stage.redis, {"echo": function.address})
        record = stage.final("a")
    assert record.state == "succeeded"
    (seen,) = function.received
    assert (seen.header("X-Attempt"), seen.body) == ("1", b"hello")
    assert {attempt["problem"] for attempt in record.attempts[:-1]} == {"it has no healthy replica"}
    assert record.attempts[-1]["status"] == 200


def test_refused_connections_are_tried_again(stage: QueueStage) -> None:
    publish(stage.redis, {"echo": f"127.0.0.1:{free_port()}"})
    stage.submit("a")
    wait_until(lambda: stage.record("a").platform_failures >= 1)
    assert stage.record("a").attempts[0]["problem"] == "its replicas refuse connections"
    with RecordingServer() as function:
        publish(stage.redis, {"echo": function.address})
        assert stage.final("a").state == "succeeded"


def test_a_dead_replica_is_passed_over_for_a_living_one(stage: QueueStage) -> None:
    with RecordingServer() as function:
        publish(stage.redis, {"echo": (f"127.0.0.1:{free_port()}", function.address)})
        for number in range(6):
            stage.submit(f"c{number}")
        for number in range(6):
            assert stage.final(f"c{number}").platform_failures == 0


def test_a_connection_lost_in_mid_run_is_tried_again(stage: QueueStage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        publish(stage.redis, {"echo": f"127.0.0.1:{listener.getsockname()[1]}"})
        stage.submit("a")
        first, _ = listener.accept()
        assert first.recv(65536).startswith(b"POST / HTTP/1.1\r\n")
        first.close()
        second, _ = listener.accept()
        with second:
            assert b"X-Attempt: 1\r\n" in second.recv(65536)
            second.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            record = stage.final("a")
    assert record.attempts[0]["problem"] == "the connection to the replica was lost"
    assert record.platform_failures == 1


def test_a_run_on_a_lost_node_is_tried_again_elsewhere_at_once(stage: QueueStage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as vanished, RecordingServer() as function:
        address = f"127.0.0.1:{vanished.getsockname()[1]}"
        publish(stage.redis, {"echo": address}, exec_timeout=3600)
        stage.submit("a")
        connection, _ = vanished.accept()
        with connection:
            assert connection.recv(65536).startswith(b"POST / HTTP/1.1\r\n")
            publish(stage.redis, {"echo": function.address}, exec_timeout=3600, lost=[address])
            record = stage.final("a")
    assert (record.state, record.platform_failures) == ("succeeded", 1)
    assert [request.header("X-Attempt") for request in function.received] == ["1"]


def test_a_full_watchdog_makes_a_call_wait_without_counting_it(stage: QueueStage) -> None:
    count = itertools.count()

    def full_twice(request: Received) -> Answer:
        return (429, [("X-OpenFaaS-Internal", "watchdog")], b"") if next(count) < 2 else (200, [], b"")

    with RecordingServer(full_twice) as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit("a")
        record = stage.final("a")
    assert [request.header("X-Attempt") for request in function.received] == ["1", "1", "1"]
    assert (len(record.attempts), record.platform_failures) == (1, 0)


def test_jobs_of_other_people_are_seen_to_fail_and_never_run(stage: QueueStage, tmp_path: Path) -> None:
    publish(stage.redis, {})
    stage.redis.sadd("swarmfn:queues", "echo")
    trap = tmp_path / "it-ran"
    job = Queue("echo", connection=stage.redis).enqueue("os.mkdir", str(trap))
    wait_until(lambda: job.get_status() == JobStatus.FAILED)
    result = job.latest_result()
    assert result is not None
    assert result.exc_string == "not run: its data is not an invocation of this platform"
    assert not trap.exists()


def test_other_peoples_queues_are_left_alone(stage: QueueStage) -> None:
    job = Queue("reports", connection=stage.redis).enqueue("os.getpid")
    with RecordingServer() as function:
        publish(stage.redis, {"echo": function.address})
        for number in range(3):
            stage.submit(f"c{number}")
            stage.final(f"c{number}")
    assert job.get_status() == JobStatus.QUEUED


def test_a_damaged_job_does_not_disturb_its_neighbours(stage: QueueStage) -> None:
    with RecordingServer(ok) as function:
        publish(stage.redis, {"echo": function.address})
        bad = invocation("bad", headers=[("X Bad\r\nName", "x")])
        for call in (invocation("before"), bad, invocation("after")):
            stage.submit(call)
        stage.redis.hset("rq:job:garbage", mapping={"data": JOB_DATA, "call": b"\xff", "status": "queued"})
        stage.redis.rpush("rq:queue:echo", "garbage")
        assert stage.final("before").state == "succeeded"
        assert stage.final("after").state == "succeeded"
        assert stage.final("bad").state == "failed"
        wait_until(lambda: stage.job("garbage").get_status() == JobStatus.FAILED)
    assert {request.header("X-Call-Id") for request in function.received} == {"before", "after"}


def test_a_call_whose_body_is_gone_is_not_run_with_an_empty_one(stage: QueueStage) -> None:
    with RecordingServer() as function, RecordingServer() as receiver:
        publish(stage.redis, {"echo": ()})
        stage.submit(invocation("a", callback_url=receiver.url), b"x" * 100_000)
        wait_until(lambda: stage.record("a").platform_failures >= 1)
        stage.redis.delete("swarmfn:body:a")
        publish(stage.redis, {"echo": function.address})
        record = stage.final("a")
        stage.told("a", "delivered")
    assert record.state == "failed"
    assert function.received == []
    (callback,) = receiver.received
    assert (callback.header("X-Function-Status"), callback.body) == ("503", b"")


def test_a_run_that_was_cancelled_through_rq_is_stopped(stage: QueueStage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        publish(stage.redis, {"echo": f"127.0.0.1:{listener.getsockname()[1]}"})
        stage.submit(invocation("a", exec_timeout=300))
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(30)
            assert connection.recv(65536)
            stage.job("a").cancel()
            assert connection.recv(65536) == b""
    stage.lapse()
    wait_until(lambda: stage.ledger.total("cancelled") == 1)
    assert stage.nothing_claimed()
    assert stage.record("a").state == "cancelled"


def test_a_failed_call_queued_again_through_rq_runs_though_nobody_announced_it(stage: QueueStage) -> None:
    statuses = iter([500, 200])
    with RecordingServer(lambda request: (next(statuses), [], b"")) as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit("a", b"hello")
        assert stage.final("a").state == "failed"
        stage.job("a").requeue()
        wait_until(lambda: stage.record("a").state == "succeeded")
    assert [request.body for request in function.received] == [b"hello", b"hello"]
    assert stage.ledger.total("redriven") == 1


def _claims_made(stage: QueueStage) -> int:
    return int(stage.redis.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


def test_a_suspended_worker_runs_nothing_until_it_is_resumed(stage: QueueStage) -> None:
    with RecordingServer() as function:
        publish(stage.redis, {"echo": function.address})
        suspend(stage.redis)
        stage.submit("a")
        # It has claimed without success since then.
        calls = _claims_made(stage)
        wait_until(lambda: _claims_made(stage) > calls)
        assert function.received == []
        assert stage.record("a").state == "queued"
        resume(stage.redis)
        assert stage.final("a").state == "succeeded"
