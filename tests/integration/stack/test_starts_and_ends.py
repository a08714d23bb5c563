"""deploy_extended.py as a user runs it, with the real stack: started, interrupted, refused and taken down."""

from __future__ import annotations

import base64
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from stack.embedded.records import Records
from swarmfn.process_identity import ProcessIdentity
from swarmfn.provider.local import stop_all
from tests.integration.stack.conftest import kill_all
from tests.support.local_stack import Stack, deployer, processes_of
from tests.support.processes import is_running
from tests.support.waiting import wait_until


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Stack]:
    """A stack that was not started yet."""
    stack = Stack(tmp_path)
    yield stack
    kill_all(stack.state)
    stop_all(stack.state.root, timeout=0)


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


def test_passwords_may_have_anything_in_them(fresh: Stack) -> None:
    fresh.state.make()
    (fresh.state.secrets / "redis-password").write_text(" a\\n \"b\" 'c' #$HOME ünï \n")
    (fresh.state.secrets / "basic-auth-password").write_text('d:e "ß ')
    done = fresh.up()
    assert done.returncode == 0, done.stderr
    login = fresh.state.credentials.read_text().splitlines()[0].encode()
    assert login == 'admin:d:e "ß '.encode()
    headers = {"Authorization": f"Basic {base64.b64encode(login).decode()}"}
    assert requests.get(f"{fresh.url}/system/functions", headers=headers, timeout=10).status_code == 200
    assert fresh.run("status").returncode == 0


@pytest.mark.parametrize("content", ["", "two\nlines"])
def test_what_cannot_be_a_password_is_refused_before_anything_starts(fresh: Stack, content: str) -> None:
    fresh.state.make()
    (fresh.state.secrets / "redis-password").write_text(content)
    done = fresh.up()
    assert done.returncode == 1
    assert f"{fresh.state.secrets / 'redis-password'} " in done.stderr
    assert "lines" not in done.stderr
    assert processes_of(fresh) == []


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
    assert not fresh.state.root.exists()


def test_a_first_start_that_fails_late_leaves_nothing(fresh: Stack) -> None:
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", 0))
        holder.listen()
        done = fresh.up(metrics_port=str(holder.getsockname()[1]))
    assert done.returncode == 1
    assert "gateway ended" in done.stderr
    assert processes_of(fresh) == []
    assert not fresh.state.root.exists()


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


def test_bad_settings_are_named_together_before_anything_starts(fresh: Stack) -> None:
    bad = {"upstream_timeout": "soon", "callback_timeout": "later", "redis_appendfsync": "often", "max_result": "big"}
    done = fresh.up(**bad)
    assert done.returncode == 1
    for line in (
        "gateway: upstream_timeout: expected seconds or a duration such as \"1m30s\", got 'soon'",
        "worker: callback_timeout: expected seconds or a duration such as \"1m30s\", got 'later'",
        "worker: max_result: expected an amount of memory such as \"64Mi\", got 'big'",
        "redis: redis_appendfsync: expected one of always, everysec, no, got 'often'",
    ):
        assert f"\n  {line}\n" in done.stderr
    assert "starting" not in done.stderr
    assert not fresh.state.root.exists()


def test_a_bad_setting_leaves_what_runs_as_it_is(fresh: Stack) -> None:
    fresh.up()
    before = fresh.pids()
    assert fresh.up(upstream_timeout="soon").returncode == 1
    assert fresh.pids() == before
    assert "nothing to do" in fresh.up().stdout


def test_a_misspelt_setting_is_said_with_the_one_that_is_meant(fresh: Stack, tmp_path: Path) -> None:
    (tmp_path / "more.yml").write_text('services: {gateway: {environment: {max_hopps: "16"}}}')
    files = ("-f", str(fresh.root / "docker-compose.swarm.yml"), "-f", str(tmp_path / "more.yml"))
    done = fresh.up(*files, exec_timeot="5m", UPSTREAM_TIMEOUT="5m", worker_replica="1")
    assert done.returncode == 0, done.stderr
    warnings = sorted(line for line in done.stderr.splitlines() if "there is no setting" in line)
    assert warnings == [
        "warning: there is no setting UPSTREAM_TIMEOUT; did you mean upstream_timeout?",
        "warning: there is no setting exec_timeot; did you mean exec_timeout?",
        "warning: there is no setting max_hopps; did you mean max_hops?",
        "warning: there is no setting worker_replica; did you mean worker_replicas?",
    ]
    assert "there is no setting exec_timeot" in fresh.state.log("gateway").read_text()


def test_an_up_without_files_keeps_those_of_the_last_one(fresh: Stack, tmp_path: Path) -> None:
    ours, more = fresh.root / "docker-compose.swarm.yml", tmp_path / "more.yml"
    more.write_text("services: {gateway: {environment: {log_format: json}}}")

    def log_formats() -> set[str]:
        running = {spec.name: spec for spec, _ in Records(fresh.state.run / "services").running()}
        return {running["gateway"].environment["log_format"]}

    assert fresh.up("-f", str(ours), "-f", str(more)).returncode == 0
    again = fresh.up()
    assert "nothing to do" in again.stdout
    assert f"compose files: {ours}, {more}, as in the last up" in again.stderr
    assert log_formats() == {"json"}
    assert f"\nmade from {ours}, {more}\n" in fresh.run("status").stdout
    more.rename(tmp_path / "moved.yml")
    lost = fresh.up()
    assert (lost.returncode, log_formats()) == (1, {"json"})
    assert f"{more}: is gone" in lost.stderr
    back = fresh.up("-f", str(ours))
    assert f"what {more} said is undone" in back.stderr
    assert log_formats() == {"text"}
    assert f"\nmade from {ours}\n" in fresh.run("status").stdout


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
