"""deploy_extended.py as a user runs it, with the real stack: what the commands say and do while it runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from stack.credentials import read_credentials
from stack.embedded.redis_data import note_writer, writer_of
from stack.queue_server import QueueServer
from tests.integration.stack.conftest import kill_all
from tests.support.local_stack import Stack, deployer, processes_of
from tests.support.processes import ChildProcess, free_port
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that runs, for tests that leave it as it is."""
    stack = Stack(tmp_path_factory.mktemp("running"))
    done = stack.up()
    assert done.returncode == 0, done.stderr
    yield stack
    stack.run("down", "--purge")
    kill_all(stack.state)


def test_up_says_where_everything_is(running: Stack) -> None:
    again = running.up()
    assert again.returncode == 0
    assert "nothing to do" in again.stdout
    for text in (running.url, f"{running.url}/ui/", str(running.state.credentials)):
        assert text in again.stdout


def test_the_gateway_lets_the_credentials_in_and_nobody_else(running: Stack) -> None:
    user, password = running.state.credentials.read_text().splitlines()[0].split(":")
    url = f"{running.url}/system/functions"
    assert requests.get(url, auth=(user, password), timeout=10).status_code == 200
    assert requests.get(url, timeout=10).status_code == 401


def test_a_proxy_for_the_internet_is_not_asked_for_our_own_gateway(running: Stack) -> None:
    done = running.up(http_proxy="http://127.0.0.1:1", HTTP_PROXY="http://127.0.0.1:1", no_proxy="", NO_PROXY="")
    assert done.returncode == 0, done.stderr


def test_later_runs_remember_the_port(running: Stack) -> None:
    assert "nothing to do" in running.run("up", "--no-examples").stdout


def test_a_server_that_cannot_read_the_data_is_refused_before_anything_stops(running: Stack) -> None:
    before, writer = running.pids(), writer_of(running.state.redis)
    assert writer is not None
    note_writer(running.state.redis, QueueServer("Valkey", "99.0.0"))
    done = running.up()
    note_writer(running.state.redis, writer)
    assert done.returncode == 1
    assert f"was written by Valkey 99.0.0, and what is installed here cannot read it: {writer} (" in done.stderr
    assert running.pids() == before


def test_status_is_healthy_while_everything_runs(running: Stack) -> None:
    done = running.run("status")
    assert done.returncode == 0
    for name in ("gateway", "worker", "redis"):
        assert name in done.stdout
    assert running.status()["healthy"] is True
    assert "queue_max_memory" in done.stdout
    assert "callback_guard is off" in done.stdout


def test_a_killed_service_comes_back_and_status_tells(running: Stack) -> None:
    before = running.pids()
    os.kill(before["gateway"], signal.SIGKILL)
    wait_until(lambda: running.pids()["gateway"] not in (None, before["gateway"]), message="another gateway")
    wait_until(lambda: requests.get(f"{running.url}/healthz", timeout=5).status_code == 200, 60, "it serves")
    after = running.pids()
    assert (after["redis"], after["worker"]) == (before["redis"], before["worker"])


def test_management_moves_to_a_port_of_its_own_and_back(running: Stack) -> None:
    port = free_port()
    before = running.pids()
    user, _, password = running.state.credentials.read_text().splitlines()[0].partition(":")

    def info(at: int) -> int:
        return requests.get(f"http://127.0.0.1:{at}/system/info", auth=(user, password), timeout=10).status_code

    done = running.up("--management-port", str(port))
    assert done.returncode == 0, done.stderr
    assert f"http://127.0.0.1:{port}/ui/" in done.stdout
    assert (info(port), info(running.port)) == (200, 404)
    assert requests.get(running.url + "/healthz", timeout=10).status_code == 200
    assert "nothing to do" in running.up().stdout
    status = running.status()
    assert (status["healthy"], status["url"]) == (True, running.url)
    assert status["management_url"] == f"http://127.0.0.1:{port}"
    assert running.up("--management-port", str(running.port)).returncode == 1
    assert running.up("--management-port", "0").returncode == 0
    assert info(running.port) == 200
    assert {name: pid for name, pid in running.pids().items() if name != "gateway"} == {
        name: pid for name, pid in before.items() if name != "gateway"
    }


def test_logs_show_services_and_name_what_there_is(running: Stack) -> None:
    assert "ready" in running.run("logs", "gateway").stdout
    assert "redis " in running.run("logs", "-n", "3").stdout
    wrong = running.run("logs", "nobody")
    assert wrong.returncode == 1
    assert "There are: gateway, redis, supervisor, worker" in wrong.stderr


def test_logs_follow_until_interrupted(running: Stack, tmp_path: Path) -> None:
    with ChildProcess(running.command("logs", "supervisor", "-f", "-n", "0"), tmp_path / "follow") as process:
        wait_until(lambda: _writes(running, "a new line") and "a new line" in process.log(), message="it is shown")
        process.send(signal.SIGINT)
        assert process.wait() == 130


def _writes(stack: Stack, text: str) -> bool:
    with stack.state.log("supervisor").open("a") as file:
        file.write(text + "\n")
    return True


def test_the_stack_survives_the_end_of_the_session_that_started_it(running: Stack) -> None:
    pid = running.status()["supervisor_pid"]
    assert isinstance(pid, int)
    assert os.getsid(pid) != os.getsid(0)
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"


def test_the_redis_password_is_on_no_command_line(running: Stack) -> None:
    credentials = read_credentials(running.state)
    assert credentials is not None
    assert not any(credentials.redis_password in line for line in processes_of(running))


def test_functions_of_a_stack_file_are_deployed_and_only_changed_ones_again(running: Stack, tmp_path: Path) -> None:
    (tmp_path / "shout").mkdir()
    (tmp_path / "stack.yml").write_text("functions: {shout: {handler: ./shout, fprocess: 'tr a-z A-Z'}}")
    said: list[str] = []
    deploy = deployer(running, tmp_path / "stack.yml", said)
    assert deploy() == (True, {})
    assert requests.post(f"{running.url}/function/shout", data=b"hello", timeout=10).content == b"HELLO"
    assert deploy() == (False, {})
    (tmp_path / "shout" / "new").write_text("a file")
    assert deploy() == (True, {})
    assert said == ["shout: deploying", "shout: ready", "shout: updating", "shout: ready"]


def test_a_function_that_never_gets_healthy_is_reported_with_its_problem(running: Stack, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "handler.py").write_text("raise RuntimeError('no luck today')\n")
    (tmp_path / "stack.yml").write_text("functions: {broken: {handler: ./broken}}")
    deploy = deployer(running, tmp_path / "stack.yml", [], timeout=10)
    has_changed, problems = deploy()
    assert has_changed
    assert "no luck today" in problems["broken"]
