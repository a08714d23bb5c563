"""The tests' own tools work as the other tests take for granted."""

from __future__ import annotations

import http.client
import os
import signal
import sys
from pathlib import Path

import pytest
import redis

from tests.support.http import RecordingServer
from tests.support.processes import ChildProcess, is_running
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until


def test_wait_until_says_what_it_waited_for() -> None:
    with pytest.raises(AssertionError, match="the moon"):
        wait_until(lambda: False, timeout=0.05, message="the moon")


def test_redis_keeps_its_data_over_a_restart_on_the_same_port(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        with server.client() as client:
            client.set("key", "value")
        server.stop()
        server.start()
        with server.client() as client:
            assert client.get("key") == b"value"


def test_who_knew_the_redis_before_is_not_let_in_by_the_next_one_on_its_port(tmp_path: Path) -> None:
    for folder in ("before", "next"):
        (tmp_path / folder).mkdir()
    with (
        RedisServer(tmp_path / "before") as before,
        RedisServer(tmp_path / "next") as after,
        redis.Redis(port=after.port, password=before.password) as left_behind,
        pytest.raises(redis.AuthenticationError),
    ):
        left_behind.ping()


def test_the_shared_redis_is_empty_for_each_test(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        assert client.dbsize() == 0
        client.set("left", "over")


def test_the_shared_redis_is_empty_for_the_next_test_too(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        assert client.dbsize() == 0


def test_a_child_process_is_gone_after_its_block(tmp_path: Path) -> None:
    with ChildProcess([sys.executable, "-c", "import time; print('up'); time.sleep(60)"], tmp_path / "log") as child:
        child.wait_for_log("up")
        pid = child.pid
    assert not is_running(pid)


@pytest.mark.parametrize("manner", ["goes when it is told to", "ignores that"])
def test_what_a_killed_run_had_started_ends(tmp_path: Path, manner: str) -> None:
    ignoring = "trap '' TERM; " if manner == "ignores that" else ""
    program = "import time\nfrom pathlib import Path\nfrom tests.support import janitor, processes\n"
    program += f"left = processes.ChildProcess(['sh', '-c', {ignoring!r} 'echo ready; sleep 600'], Path('left'))\n"
    program += "left.wait_for_log('ready')\nprint('pid', left.pid, flush=True)\ntime.sleep(600)\n"
    with ChildProcess([sys.executable, "-c", program], tmp_path / "log", cwd=tmp_path) as run:
        run.wait_for_log("pid ")
        left = int(run.log().split()[1])
        assert is_running(left)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        wait_until(lambda: not is_running(left), 60)


def test_a_recording_server_notes_requests() -> None:
    with RecordingServer(lambda request: (201, [("X-Echo", request.path)], request.body)) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("POST", "/a?b=c", body=iter([b"one", b"two"]), headers={"X-Call-Id": "1"})
        response = connection.getresponse()
        assert (response.status, response.headers["X-Echo"], response.read()) == (201, "/a?b=c", b"onetwo")
        connection.close()
        assert server.received[0].header("x-call-id") == "1"
