"""deploy_extended.py as a user runs it, with the real stack."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from stack.credentials import read_credentials
from stack.embedded.engine import checks_of
from stack.embedded.identity import ProcessIdentity
from stack.embedded.problems import problem_of
from stack.embedded.records import Records
from stack.embedded.redis_data import note_writer, writer_of
from stack.examples import deploy_examples
from stack.function_files import load_functions
from stack.gateway_client import GatewayClient
from stack.queue_server import QueueServer
from stack.state import StateDirectory
from tests.integration.stack.conftest import kill_all
from tests.support.processes import REPOSITORY, ChildProcess, free_port, is_running
from tests.support.waiting import wait_until

Completed = subprocess.CompletedProcess[str]


class Stack:
    """A state directory and the commands on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = StateDirectory(folder / "state")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def command(self, *words: str) -> list[str]:
        return [sys.executable, str(REPOSITORY / "deploy_extended.py"), *words, "--state-dir", str(self.state.root)]

    def run(self, *words: str, **environment: str) -> Completed:
        return subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
            timeout=300,
            check=False,
        )

    def up(self, *words: str, **environment: str) -> Completed:
        return self.run("up", "--no-examples", "--port", str(self.port), *words, **environment)

    def start(self, *words: str) -> ChildProcess:
        """`up` as a process that can be interrupted."""
        command = self.command("up", "--no-examples", "--port", str(self.port), *words)
        return ChildProcess(command, self.folder / f"up-{free_port()}.log")

    def status(self) -> dict[str, object]:
        document: dict[str, object] = json.loads(self.run("status", "--json").stdout)
        return document

    def pids(self) -> dict[str, int]:
        services = self.status()["services"]
        assert isinstance(services, list)
        return {service["name"]: service["pid"] for service in services}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that runs, for tests that leave it as it is."""
    stack = Stack(tmp_path_factory.mktemp("running"))
    done = stack.up()
    assert done.returncode == 0, done.stderr
    yield stack
    stack.run("down", "--purge")
    kill_all(stack.state)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Stack]:
    """A stack that was not started yet."""
    stack = Stack(tmp_path)
    yield stack
    stack.run("down", "--purge")
    kill_all(stack.state)


def processes_of(stack: Stack) -> list[str]:
    """Command lines that name the state directory, but for this test's own."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (path.parent / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(stack.state.root) in text + environment and is_running(int(path.parent.name)):
            found.append(text)
    return found


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
    credentials = tuple(running.state.credentials.read_text().splitlines()[0].split(":", 1))

    def info(at: int) -> int:
        return requests.get(f"http://127.0.0.1:{at}/system/info", auth=credentials, timeout=10).status_code

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


def deployer(
    stack: Stack, path: Path, said: list[str], timeout: float = 120
) -> Callable[[], tuple[bool, dict[str, str]]]:
    settings, credentials = stack.state.settings(), read_credentials(stack.state)
    assert credentials is not None

    def deploy() -> tuple[bool, dict[str, str]]:
        with (
            GatewayClient(f"127.0.0.1:{stack.port}", credentials) as gateway,
            checks_of(settings, credentials).redis_client() as client,
        ):
            return deploy_examples(
                gateway, load_functions(path), lambda name: problem_of(client, name), said.append, timeout
            )

    return deploy


def test_down_leaves_no_process_and_up_brings_everything_back(fresh: Stack, tmp_path: Path) -> None:
    assert fresh.up().returncode == 0
    (tmp_path / "cat").mkdir()
    (tmp_path / "stack.yml").write_text("functions: {cat: {handler: ./cat, fprocess: cat}}")
    assert deployer(fresh, tmp_path / "stack.yml", [])() == (True, {})
    credentials = fresh.state.credentials.read_text()
    down = fresh.run("down")
    assert down.returncode == 0, down.stderr
    assert processes_of(fresh) == []
    assert fresh.run("down").returncode == 0
    assert fresh.run("status").returncode == 1
    assert fresh.up().returncode == 0
    assert fresh.state.credentials.read_text() == credentials
    wait_until(
        lambda: requests.post(f"{fresh.url}/function/cat", data=b"kept", timeout=10).content == b"kept",
        60,
        "the function is there again",
    )


def test_a_changed_setting_replaces_only_the_services_it_concerns(fresh: Stack) -> None:
    fresh.up()
    before = fresh.pids()
    done = fresh.up(upstream_timeout="50s")
    after = fresh.pids()
    assert "gateway: replacing" in done.stderr
    assert (after["redis"], after["worker"]) == (before["redis"], before["worker"])
    assert after["gateway"] != before["gateway"]


def test_workers_can_be_several(fresh: Stack) -> None:
    assert fresh.up(worker_replicas="2").returncode == 0
    assert set(fresh.pids()) == {"redis", "gateway", "worker.1", "worker.2"}
    assert fresh.up().returncode == 0
    assert set(fresh.pids()) == {"redis", "gateway", "worker"}


def test_purge_removes_the_state(fresh: Stack) -> None:
    fresh.up()
    assert fresh.run("down", "--purge").returncode == 0
    assert not fresh.state.root.exists()
    assert processes_of(fresh) == []


def test_down_stops_what_a_killed_supervisor_left(fresh: Stack) -> None:
    fresh.up()
    pid = fresh.status()["supervisor_pid"]
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_running(pid))
    unsupervised = fresh.run("status")
    assert unsupervised.returncode == 1
    assert "not supervised" in unsupervised.stdout
    assert fresh.run("down").returncode == 0
    assert processes_of(fresh) == []


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "redis: starting"),
        (signal.SIGINT, "gateway: starting"),
        (signal.SIGTERM, "gateway: starting"),
        (signal.SIGKILL, "gateway: starting"),
    ],
)
def test_an_interrupted_up_is_finished_by_the_next(fresh: Stack, number: int, moment: str) -> None:
    with fresh.start() as process:
        process.wait_for_log(moment)
        process.send(number)
        assert process.wait() == (-9 if number == signal.SIGKILL else 130)
    done = fresh.up()
    assert done.returncode == 0, done.stderr
    assert fresh.run("down").returncode == 0
    assert processes_of(fresh) == []


def test_an_interrupted_up_is_undone_by_down(fresh: Stack) -> None:
    with fresh.start() as process:
        process.wait_for_log("gateway: starting")
        process.send(signal.SIGINT)
        assert process.wait() == 130
    assert fresh.run("down").returncode == 0
    assert processes_of(fresh) == []


def test_two_ups_at_once_end_well(fresh: Stack) -> None:
    with fresh.start() as first:
        first.wait_for_log("redis: starting")
        with fresh.start() as second:
            assert (first.wait(120), second.wait(120)) == (0, 0)
            assert f"another up is running (pid {first.pid}); waiting for it" in second.log()
            assert "nothing to do" in second.log()
    assert len(fresh.pids()) == 3


def test_a_port_in_use_is_named_with_its_holder(fresh: Stack) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", fresh.port))
        holder.listen()
        done = fresh.up()
    assert done.returncode == 1
    assert f"port {fresh.port} is in use by process {os.getpid()}" in done.stderr
    assert "--port" in done.stderr
    assert processes_of(fresh) == []


def test_a_redis_port_that_someone_took_is_replaced_by_another(fresh: Stack) -> None:
    fresh.up()
    fresh.run("down")
    port = fresh.state.settings().redis_port
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", port))
        thief.listen()
        assert fresh.up().returncode == 0
    assert fresh.state.settings().redis_port != port


def test_a_bad_setting_fails_with_the_reason_and_leaves_nothing_running(fresh: Stack) -> None:
    done = fresh.up(upstream_timeout="soon")
    assert done.returncode == 1
    assert "gateway refuses its settings" in done.stderr
    assert "'soon'" in done.stderr
    assert processes_of(fresh) == []


def test_stale_records_of_processes_are_ignored(fresh: Stack) -> None:
    fresh.up()
    (spec, _), *_ = Records(fresh.state.run / "services").running()
    fresh.run("down")
    records = Records(fresh.state.run / "services")
    records.write(spec, ProcessIdentity(os.getpid(), 1, "an earlier boot"))
    (fresh.state.run / "services" / "damaged.json").write_text("{")
    assert fresh.up().returncode == 0
    assert set(fresh.pids()) == {"redis", "gateway", "worker"}


def test_a_directory_of_someone_else_is_refused(fresh: Stack) -> None:
    fresh.state.root.mkdir()
    (fresh.state.root / "thesis.txt").write_text("years of work")
    for words in (("up", "--no-examples"), ("down", "--purge")):
        done = fresh.run(*words)
        assert done.returncode == 1
        assert "not a state directory of swarmfn" in done.stderr
    assert (fresh.state.root / "thesis.txt").exists()


def test_a_swarm_without_an_engine_exits_with_3(fresh: Stack) -> None:
    host = f"unix://{fresh.state.root}/none.sock"
    done = fresh.up("--engine", "swarm", DOCKER_HOST=host)
    assert done.returncode == 3
    assert f"no Docker Engine answers at {host}" in done.stderr
    assert not fresh.state.exists()


def test_wrong_usage_exits_with_2(fresh: Stack) -> None:
    assert fresh.run("up", "--port", "none").returncode == 2
