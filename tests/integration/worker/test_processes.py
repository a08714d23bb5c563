"""Starting, stopping and being seen: the supervisor, its children, and RQ."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from rq import Worker
from rq.command import send_kill_horse_command, send_shutdown_command, send_stop_job_command
from rq.suspension import resume, suspend

from swarmfn.jobs.outgoing import delivery_queue
from tests.support.http import Answer, Received, RecordingServer
from tests.support.processes import ChildProcess, free_port, is_running
from tests.support.queue_stage import QueueStage, invocation
from tests.support.redis_server import RedisServer, text
from tests.support.slow_function import SlowFunction, answer
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, environment, publish


def test_a_clean_stop_waits_for_what_runs_and_signs_off(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    with SlowFunction() as function, WorkerProcess(stage.server, tmp_path, drain_timeout="60s") as worker:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", exec_timeout=60))
        with function.accept() as connection:
            worker.send(signal.SIGTERM)
            worker.wait_for_log("draining: 1 calls are running")
            stage.submit("b")
            answer(connection)
            assert worker.wait(60) == 0
    record = stage.record("a")
    assert (record.state, record.interruptions) == ("succeeded", 0)
    assert stage.record("b").state == "queued"
    assert Worker.all(connection=stage.redis) == []
    assert stage.redis.smembers("rq:workers") == set()
    assert stage.keys("rq:workers:*") == set()
    assert stage.nothing_claimed()


def test_what_runs_longer_than_the_drain_is_handed_back_as_interrupted(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    with SlowFunction() as function, WorkerProcess(stage.server, tmp_path, drain_timeout="1s") as worker:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", exec_timeout=60))
        with function.accept() as connection:
            assert worker.terminate() == 0
            assert connection.recv(1) == b""  # that stops the run in the watchdog
    record = stage.record("a")
    assert (record.state, record.interruptions, record.platform_failures) == ("queued", 1, 0)
    assert record.attempts == ()
    assert stage.nothing_claimed()


def test_a_run_longer_than_every_lease_stays_where_it_is(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    other = tmp_path / "other"
    other.mkdir()
    with (
        SlowFunction() as function,
        WorkerProcess(stage.server, tmp_path, lease="1s") as one,
        WorkerProcess(stage.server, other, lease="1s") as two,
    ):
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", exec_timeout=60))
        with function.accept() as connection:
            two.wait_until_ready()
            (entry,) = map(text, stage.redis.zrange("swarmfn:leases", 0, -1))
            first = stage.redis.zscore("swarmfn:leases", entry) or 0
            wait_until(lambda: (stage.redis.zscore("swarmfn:leases", entry) or 0) > first + 4)
            answer(connection)
            record = stage.final("a")
        assert (record.state, record.interruptions) == ("succeeded", 0)
        assert one.terminate() == 0
        assert two.terminate() == 0


def test_a_second_sigterm_hands_back_what_runs(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    with SlowFunction() as function, WorkerProcess(stage.server, tmp_path, drain_timeout="600s") as worker:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", exec_timeout=600))
        with function.accept():
            # The second one at once may as well be for all of a group: it is the same request.
            worker.send(signal.SIGTERM)
            worker.send(signal.SIGTERM)
            worker.wait_for_log("draining: 1 calls are running")
            assert worker.exit_code is None
            time.sleep(1.5)  # so that it is another one; not more than one, which could come while Python itself ends
            worker.send(signal.SIGTERM)
            assert worker.wait() == 0
        assert "told to stop again" in worker.log()
    record = stage.record("a")
    assert (record.state, record.interruptions, record.platform_failures) == ("queued", 1, 0)


def start_named(stage: QueueStage, directory: Path, name: str, lease: str) -> ChildProcess:
    """`rq worker` with our class and a name."""
    rq = str(Path(sys.executable).with_name("rq"))
    command = [rq, "worker", "-u", stage.server.url, "-w", "worker.rq_worker.FunctionWorker", "-n", name]
    variables = environment(stage.server, directory, lease=lease)
    return ChildProcess(command, directory / f"named-{free_port()}.log", variables)


def test_a_worker_with_a_name_starts_again_after_a_kill_and_runs_what_it_had(
    bare_stage: QueueStage, tmp_path: Path
) -> None:
    stage = bare_stage
    with SlowFunction() as function, contextlib.ExitStack() as undo:
        publish(stage.redis, {"echo": function.address})
        first = undo.enter_context(start_named(stage, tmp_path, "mine", lease="600s"))
        stage.submit(invocation("a", exec_timeout=60))
        with function.accept():
            first.kill()
        second = undo.enter_context(start_named(stage, tmp_path, "mine", lease="600s"))
        with function.accept() as connection:
            answer(connection)
            record = stage.final("a")
        assert (record.state, record.interruptions) == ("succeeded", 1)
        assert "mine" in {worker.name for worker in Worker.all(connection=stage.redis)}
        assert second.terminate() == 0


def test_a_name_that_a_living_worker_has_is_refused(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    with start_named(stage, tmp_path, "mine", lease="5s") as first:
        wait_until(lambda: len(Worker.all(connection=stage.redis)) == 1)
        with start_named(stage, tmp_path, "mine", lease="5s") as second:
            assert second.wait(60) != 0
            assert "There exists an active worker named 'mine' already" in second.log()
        assert first.terminate() == 0


def test_a_dead_worker_is_off_every_list_within_its_lease(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    with SlowFunction() as function, contextlib.ExitStack() as undo:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", exec_timeout=60))
        dead = undo.enter_context(start_named(stage, tmp_path, "dead", lease="6s"))
        lists = ("rq:workers", "rq:workers:echo")
        wait_until(lambda: all(stage.redis.sismember(name, "rq:worker:dead") for name in lists))
        assert 0 < stage.redis.pttl("rq:worker:dead") <= 6000
        with function.accept():
            dead.kill()
        other = undo.enter_context(start_named(stage, tmp_path, "other", lease="6s"))
        wait_until(
            lambda: "dead" not in {worker.name for worker in Worker.all(connection=stage.redis)},
            timeout=30,
            message="its entry has expired",
        )
        wait_until(
            lambda: not any(stage.redis.sismember(name, "rq:worker:dead") for name in lists),
            timeout=60,
            message="it is on no list of RQ's",
        )
        with function.accept() as connection:
            answer(connection)
        assert stage.final("a").state == "succeeded"
        assert other.terminate() == 0


def test_a_suspended_worker_says_so(bare_stage: QueueStage, tmp_path: Path) -> None:
    with start_named(bare_stage, tmp_path, "mine", lease="12s") as worker:
        wait_until(lambda: bare_stage.redis.hget("rq:worker:mine", "state") == b"idle")
        suspend(bare_stage.redis)
        wait_until(lambda: bare_stage.redis.hget("rq:worker:mine", "state") == b"suspended")
        resume(bare_stage.redis)
        wait_until(lambda: bare_stage.redis.hget("rq:worker:mine", "state") == b"idle")
        assert worker.terminate() == 0


def test_a_worker_that_still_waits_for_the_replica_table_stops_at_once(bare_stage: QueueStage, tmp_path: Path) -> None:
    with WorkerProcess(bare_stage.server, tmp_path) as worker:
        worker.wait_for_log("waiting for the gateway's replica table")
        bare_stage.submit("a")
        assert worker.terminate() == 0
    assert bare_stage.record("a").state == "queued"


def test_a_worker_waits_for_a_redis_that_is_not_there_yet(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.stop()
    with WorkerProcess(server, tmp_path) as worker:
        worker.wait_for_log("waiting for Redis at")
        server.start()
        worker.wait_until_ready()
        assert worker.terminate() == 0
    server.stop()


def test_a_dead_child_is_replaced_and_its_calls_run_again_at_once(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    with SlowFunction() as function, WorkerProcess(stage.server, tmp_path, lease="600s") as worker:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", exec_timeout=60))
        with function.accept():
            dead = worker.child()
            os.kill(dead, signal.SIGKILL)
            worker.wait_for_log("a worker process ended with -9; starting another in 0.1 s")
            worker.wait_for_log("handed back 1 calls of a dead worker")
        with function.accept() as connection:
            answer(connection)
            record = stage.final("a")
        assert worker.child() != dead
        assert (record.state, record.interruptions, record.platform_failures) == ("succeeded", 1, 1)
        wait_until(lambda: len(Worker.all(connection=stage.redis)) == 1, message="the process for this call is gone")
        assert worker.terminate() == 0


def test_what_is_to_be_run_alone_waits_while_workers_are_suspended(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    for call_id in ("a", "b"):
        stage.submit(call_id)
    stage.claim(count=2, by=stage.consumer("dead"))
    stage.hand_back_all("dead")
    suspend(stage.redis)
    with RecordingServer() as function, WorkerProcess(stage.server, tmp_path) as worker:
        publish(stage.redis, {"echo": function.address})
        worker.wait_for_log("runs calls alone")
        wait_until(lambda: len(Worker.all(connection=stage.redis)) == 2, message="that process is there")
        resume(stage.redis)
        assert [stage.final(call_id).state for call_id in ("a", "b")] == ["succeeded"] * 2
        assert worker.log().count("runs calls alone") == 1
        assert worker.terminate() == 0


def test_a_process_for_calls_alone_ends_with_the_worker_that_started_it(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    stage.submit("a")
    stage.claim(by=stage.consumer("dead"))
    stage.hand_back_all("dead")
    suspend(stage.redis)
    with WorkerProcess(stage.server, tmp_path) as worker:
        worker.wait_for_log("runs calls alone")
        wait_until(lambda: len(Worker.all(connection=stage.redis)) == 2, message="that process is there")
        starter = worker.child()
        (alone,) = [one.pid for one in Worker.all(connection=stage.redis) if one.pid != starter]
        assert alone is not None
        os.kill(starter, signal.SIGKILL)
        wait_until(lambda: not is_running(alone), message="it has ended")
        resume(stage.redis)
        assert worker.terminate() == 0


def test_a_child_that_cannot_live_is_started_ever_more_slowly(bare_stage: QueueStage, tmp_path: Path) -> None:
    with WorkerProcess(bare_stage.server, tmp_path) as worker:
        for pause in ("0.1", "0.2", "0.4"):
            os.kill(worker.child(), signal.SIGKILL)
            worker.wait_for_log(f"a worker process ended with -9; starting another in {pause} s")
        assert worker.terminate() == 0


def test_a_dead_childs_calls_run_again_at_once_while_another_child_cannot_live(
    bare_stage: QueueStage, tmp_path: Path
) -> None:
    stage = bare_stage
    settings = {"worker_processes": "2", "lease": "600s"}
    with SlowFunction() as function, WorkerProcess(stage.server, tmp_path, **settings) as worker:
        publish(stage.redis, {"echo": function.address})
        worker.wait_until_ready(times=2)
        stage.submit(invocation("a", exec_timeout=60))
        with function.accept():
            busy = _worker_of(stage, "a")
            for pause in ("0.1", "0.2", "0.4", "0.8", "1.6", "3.2"):
                (idle,) = wait_until(lambda: [pid for pid in worker.children() if pid != busy])
                os.kill(idle, signal.SIGKILL)
                worker.wait_for_log(f"a worker process ended with -9; starting another in {pause} s")
            os.kill(busy, signal.SIGKILL)
            worker.wait_for_log("handed back 1 calls of a dead worker")
            meanwhile = worker.log().partition("starting another in 3.2 s")[2].partition("handed back")[0]
            assert "started worker process" not in meanwhile
        with function.accept() as connection:
            answer(connection)
            assert stage.final("a").state == "succeeded"
        assert worker.terminate() == 0


def test_a_dead_childs_calls_are_handed_back_when_redis_is_back(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    with SlowFunction() as function, WorkerProcess(stage.server, tmp_path, lease="600s") as worker:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", exec_timeout=60))
        with function.accept():
            stage.server.suspend()
            os.kill(worker.child(), signal.SIGKILL)
            worker.wait_for_log("handing back the calls of a dead worker failed")
            stage.server.resume()
        with function.accept() as connection:
            answer(connection)
            assert stage.final("a").state == "succeeded"
        assert worker.terminate() == 0


def test_dead_children_are_replaced_at_once_while_redis_hangs(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    with WorkerProcess(stage.server, tmp_path, worker_processes="3") as worker:
        worker.wait_until_ready(times=3)
        dead = set(worker.children())
        stage.server.suspend()
        for pid in dead:
            os.kill(pid, signal.SIGKILL)
        # Handing back what one of them had takes five seconds now, until the client gives up waiting.
        wait_until(lambda: len(set(worker.children()) - dead) == 3, timeout=4, message="all are replaced")
        worker.wait_for_log("handing back the calls of a dead worker failed")
        began = time.monotonic()
        worker.send(signal.SIGTERM)
        wait_until(lambda: not worker.children(), timeout=4, message="all have got the signal")
        assert worker.wait() == 0
        assert time.monotonic() - began < 12, "one last try for all of them"
        stage.server.resume()


def _worker_of(stage: QueueStage, call_id: str) -> int:
    """The process that runs a call."""
    name = text(stage.redis.hget(f"rq:job:{call_id}", "worker_name") or b"")
    wait_until(lambda: stage.redis.hexists(f"rq:worker:{name}", "pid"))
    return int(text(stage.redis.hget(f"rq:worker:{name}", "pid")))


def test_children_end_with_their_supervisor(bare_stage: QueueStage, tmp_path: Path) -> None:
    with WorkerProcess(bare_stage.server, tmp_path, worker_processes="2") as worker:
        worker.wait_until_ready(times=2)
        children = worker.children()
        assert len(children) == 2
        worker.send(signal.SIGKILL)
        wait_until(lambda: not any(map(is_running, children)), message="the children have ended")
    assert Worker.all(connection=bare_stage.redis) == []


def test_a_child_whose_supervisor_died_before_it_could_say_so_ends_at_once(tmp_path: Path) -> None:
    variables = {"worker_name": "orphan", "worker_parent": "1", "max_inflight": "many"}
    with ChildProcess([sys.executable, "-m", "worker"], tmp_path / "log", variables) as worker:
        assert (worker.wait(), worker.log()) == (1, "")


def test_bad_settings_are_named_and_nothing_starts(tmp_path: Path) -> None:
    variables = {"max_inflight": "many", "lease": "0s", "secret_mount_path": str(tmp_path)}
    with ChildProcess([sys.executable, "-m", "worker"], tmp_path / "log", variables) as worker:
        assert worker.wait() == 2
    assert worker.log().count("\n") == 1
    assert "cannot start: max_inflight: expected a whole number of at least 1, got 'many'; lease:" in worker.log()


def test_rq_sees_the_worker_and_what_it_runs(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    with SlowFunction() as function, WorkerProcess(stage.server, tmp_path) as worker:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", exec_timeout=60))
        with function.accept() as connection:
            (seen,) = wait_until(lambda: Worker.all(connection=stage.redis))
            wait_until(lambda: [execution.job_id for execution in seen.get_current_executions()] == ["a"])
            wait_until(lambda: Worker.all(connection=stage.redis)[0].get_state() == "busy")
            assert seen.pid == worker.child()
            assert wait_until(lambda: "echo" in (Worker.find_by_key(seen.key, stage.redis) or seen).queue_names())
            # Commands that make no sense here do no harm.
            send_kill_horse_command(stage.redis, seen.name)
            send_stop_job_command(stage.redis, "a")
            answer(connection)
            assert stage.final("a").state == "succeeded"
        wait_until(lambda: Worker.all(connection=stage.redis)[0].get_state() == "idle")
        wait_until(lambda: stage.redis.hget(seen.key, "successful_job_count") == b"1")
        assert not stage.redis.exists(seen.executions_key)
        send_shutdown_command(stage.redis, seen.name)
        worker.wait_for_log("a worker process ended with 0")
        assert worker.terminate() == 0


def test_a_worker_whose_redis_lost_everything_registers_again(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    with RecordingServer() as function, WorkerProcess(stage.server, tmp_path) as worker:
        worker.wait_until_ready()
        stage.server.flush()
        (seen,) = wait_until(lambda: Worker.all(connection=stage.redis))
        assert wait_until(lambda: seen.queue_names())
        publish(stage.redis, {"echo": function.address})
        stage.submit("a")
        assert stage.final("a").state == "succeeded"
        assert worker.terminate() == 0


@pytest.mark.parametrize("queues", [(), ("echo", "callbacks")])
def test_rqs_own_command_starts_our_worker_for_one_burst(
    bare_stage: QueueStage, tmp_path: Path, queues: tuple[str, ...]
) -> None:
    stage = bare_stage
    with RecordingServer() as function, RecordingServer() as receiver:
        publish(stage.redis, {"echo": function.address, "other": function.address})
        for number in range(20):
            stage.submit(invocation(f"c{number}", callback_url=receiver.url))
        stage.submit(invocation("o", "other"))
        rq = str(Path(sys.executable).with_name("rq"))
        command = [rq, "worker", "-u", stage.server.url, "-w", "worker.rq_worker.FunctionWorker", "--burst", *queues]
        # No setting says where Redis is: it is where `rq worker` was told.
        variables = environment(stage.server, tmp_path, faas_redis_address=f"127.0.0.1:{free_port()}")
        with ChildProcess(command, tmp_path / "log", variables) as worker:
            assert worker.wait(60) == 0, worker.log()
    assert len(receiver.received) == 20
    assert stage.counts() == {"finished": 20}
    assert stage.record("o").state == ("queued" if queues else "succeeded")


def test_a_plain_rq_worker_drains_our_queues_too(bare_stage: QueueStage, tmp_path: Path) -> None:
    stage = bare_stage
    large = b"L" * 100_000

    def answer_by_path(request: Received) -> Answer:
        return (500, [], b"oops") if request.path == "/fail" else (200, [("X-Own", "1")], request.body)

    with RecordingServer(answer_by_path) as function, RecordingServer() as receiver:
        publish(stage.redis, {"echo": function.address, "gone": ()})
        stage.submit(invocation("a", callback_url=receiver.url, query="q=1"), b"hello")
        stage.submit(invocation("large", callback_url=receiver.url), large)
        stage.submit(invocation("failing", path="/fail", callback_url=receiver.url))
        stage.submit(invocation("g", "gone", callback_url=receiver.url))
        rq = str(Path(sys.executable).with_name("rq"))
        queues = ["echo", "gone", delivery_queue(receiver.url)]
        command = [rq, "worker", "-u", stage.server.url, "-w", "rq.worker.SimpleWorker", "--burst", *queues]
        with ChildProcess(command, tmp_path / "log") as worker:
            assert worker.wait(60) == 0, worker.log()
    assert {call_id: stage.record(call_id).state for call_id in ("a", "large", "failing", "g")} == {
        "a": "succeeded",
        "large": "succeeded",
        "failing": "failed",
        "g": "failed",
    }
    assert function.received[0].path == "/?q=1"
    assert stage.answer("a") == b"hello"
    assert stage.answer("large") == large
    told = {request.header("X-Call-Id"): request for request in receiver.received}
    assert {call_id: request.header("X-Function-Status") for call_id, request in told.items()} == {
        "a": "200",
        "large": "200",
        "failing": "500",
        "g": "503",
    }
    assert told["large"].body == large
    assert stage.record("a").callback_state == "delivered, the receiver answered 200"
    stage.job("failing").requeue()
    with RecordingServer() as function, WorkerProcess(stage.server, tmp_path) as ours:
        publish(stage.redis, {"echo": function.address})
        assert stage.final("failing").state == "succeeded"
        assert ours.terminate() == 0


def test_a_run_that_breaks_off_as_its_time_is_up_is_past_it_for_a_plain_rq_worker_too(
    bare_stage: QueueStage, tmp_path: Path
) -> None:
    stage = bare_stage
    with SlowFunction() as function:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", exec_timeout=2))
        rq = str(Path(sys.executable).with_name("rq"))
        command = [rq, "worker", "-u", stage.server.url, "-w", "rq.worker.SimpleWorker", "--burst", "echo"]
        with ChildProcess(command, tmp_path / "log") as worker:
            with function.accept() as connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nthree")
                time.sleep(1.95)
            assert worker.wait(60) == 0, worker.log()
    record = stage.record("a")
    assert record.response is not None
    assert (record.state, record.response.status) == ("failed", 504)
