"""The supervisor with small real services."""

from __future__ import annotations

import functools
import os
import signal
from pathlib import Path

import pytest

from stack.embedded.client import SupervisorClient
from stack.embedded.records import Records
from stack.errors import StackError
from stack.state import StateDirectory
from tests.integration.stack.conftest import MakeSpec
from tests.support.processes import REPOSITORY, is_running
from tests.support.waiting import wait_until

WAITS = "import signal; signal.pause()"
IGNORES_SIGTERM = (
    "import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True)\nwhile True: signal.pause()"
)
HAS_A_CHILD = (
    "import subprocess, sys, signal; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); signal.pause()"
)


def running_pid(supervisor: SupervisorClient, name: str) -> int:
    def pid() -> int | None:
        service = supervisor.services().get(name)
        return service.pid if service else None

    found = wait_until(pid, message=f"{name} runs")
    assert found is not None
    return found


def test_a_killed_service_is_started_again(supervisor: SupervisorClient, make_spec: MakeSpec) -> None:
    supervisor.apply(make_spec("napper", WAITS))
    first = running_pid(supervisor, "napper")
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: running_pid(supervisor, "napper") != first, message="another process")
    service = supervisor.services()["napper"]
    assert (service.restarts, service.last_end) == (1, "killed by SIGKILL")


def test_applying_an_equal_spec_changes_nothing(supervisor: SupervisorClient, make_spec: MakeSpec) -> None:
    supervisor.apply(make_spec("napper", WAITS))
    pid = running_pid(supervisor, "napper")
    supervisor.apply(make_spec("napper", WAITS))
    assert running_pid(supervisor, "napper") == pid


def test_applying_another_spec_replaces_the_process(supervisor: SupervisorClient, make_spec: MakeSpec) -> None:
    supervisor.apply(make_spec("napper", WAITS))
    pid = running_pid(supervisor, "napper")
    supervisor.apply(make_spec("napper", WAITS, version="2"))
    assert running_pid(supervisor, "napper") != pid
    assert not is_running(pid)


def test_a_service_that_ignores_sigterm_is_killed_when_its_time_is_up(
    supervisor: SupervisorClient, make_spec: MakeSpec, state: StateDirectory
) -> None:
    supervisor.apply(make_spec("deaf", IGNORES_SIGTERM, stop_timeout=0.3))
    pid = running_pid(supervisor, "deaf")
    wait_until(lambda: "deaf" in state.log("deaf").read_text())
    supervisor.stop("deaf", 0.3)
    assert not is_running(pid)
    assert supervisor.services() == {}


def test_children_of_a_service_end_with_it(
    supervisor: SupervisorClient, make_spec: MakeSpec, state: StateDirectory
) -> None:
    supervisor.apply(make_spec("parent", HAS_A_CHILD))
    child = int(wait_until(lambda: state.log("parent").read_text().strip()))
    os.kill(running_pid(supervisor, "parent"), signal.SIGKILL)
    wait_until(lambda: not is_running(child), message="the orphan is gone")


def test_a_command_that_does_not_exist_is_reported(supervisor: SupervisorClient, make_spec: MakeSpec) -> None:
    spec = make_spec("absent", WAITS)
    supervisor.apply(type(spec).from_json({**spec.to_json(), "command": ["/no/such/program"]}))
    wait_until(lambda: "No such file" in supervisor.services()["absent"].last_end)
    assert supervisor.services()["absent"].state == "waiting"


def test_a_service_whose_record_cannot_be_written_is_tried_again_until_it_can(
    supervisor: SupervisorClient, make_spec: MakeSpec, state: StateDirectory
) -> None:
    supervisor.apply(make_spec("napper", WAITS))
    first = running_pid(supervisor, "napper")
    records, away = state.run / "services", state.run / "away"
    records.rename(away)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: "cannot be written" in supervisor.services()["napper"].last_end)
    away.rename(records)
    assert wait_until(lambda: supervisor.services()["napper"].pid) != first


def test_a_new_supervisor_adopts_what_a_killed_one_left(
    supervisor: SupervisorClient, make_spec: MakeSpec, state: StateDirectory
) -> None:
    supervisor.apply(make_spec("napper", WAITS))
    pid, old = running_pid(supervisor, "napper"), supervisor.pid()
    # It runs Python between fork and exec, which with other threads could hang for ever.
    assert len(list(Path(f"/proc/{old}/task").iterdir())) == 1
    assert old is not None
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: not is_running(old))
    assert supervisor.pid() is None
    supervisor.ensure()
    assert running_pid(supervisor, "napper") == pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: running_pid(supervisor, "napper") != pid, message="the adopted service is supervised")


def test_shutdown_leaves_no_process_behind(
    supervisor: SupervisorClient, make_spec: MakeSpec, state: StateDirectory
) -> None:
    supervisor.apply(make_spec("one", WAITS))
    supervisor.apply(make_spec("two", WAITS))
    pids = [running_pid(supervisor, "one"), running_pid(supervisor, "two"), supervisor.pid() or 0]
    supervisor.shutdown(5)
    wait_until(lambda: not any(map(is_running, pids)), message=f"the processes {pids} are gone")
    assert Records(state.run / "services").running() == []


def test_sigterm_stops_the_services_in_reverse_order(
    supervisor: SupervisorClient, make_spec: MakeSpec, state: StateDirectory
) -> None:
    says_goodbye = (
        "import signal, sys, time, pathlib\n"
        "def end(*_):\n"
        "    with open('order', 'a') as file: file.write(sys.argv[1])\n"
        "    sys.exit(0)\n"
        "signal.signal(15, end); print('ready', flush=True)\n"
        "while True: signal.pause()\n"
    )

    def is_ready(log: Path) -> bool:
        return log.exists() and "ready" in log.read_text()

    for name in "abc":
        supervisor.apply(make_spec(name, says_goodbye, name))
        wait_until(functools.partial(is_ready, state.log(name)), message=f"{name} is ready")
    pid = supervisor.pid()
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not is_running(pid))
    assert (state.root / "order").read_text() == "cba"


def test_a_supervisor_with_other_code_is_replaced_without_stopping_services(
    state: StateDirectory, make_spec: MakeSpec, tmp_path: Path
) -> None:
    (tmp_path / "requirements.txt").write_text("other==1\n")
    for name in ("stack", "swarmfn"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    old = SupervisorClient(state, tmp_path)
    old.ensure()
    old.apply(make_spec("napper", WAITS))
    pids = running_pid(old, "napper"), old.pid()
    new = SupervisorClient(state, REPOSITORY)
    new.ensure()
    assert (running_pid(new, "napper"), new.pid() == pids[1]) == (pids[0], False)


def test_a_state_directory_with_a_long_path_works(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / ("long" * 40) / ("path" * 20))
    state.make()
    client = SupervisorClient(state, REPOSITORY)
    client.ensure()
    assert client.services() == {}
    client.shutdown(5)


def test_there_is_one_supervisor_however_many_are_started(supervisor: SupervisorClient, state: StateDirectory) -> None:
    pid = supervisor.pid()
    SupervisorClient(state, REPOSITORY)._launch()
    wait_until(lambda: "another supervisor runs" in state.log("supervisor").read_text())
    assert supervisor.pid() == pid


def test_a_request_without_sense_is_refused(supervisor: SupervisorClient) -> None:
    with pytest.raises(StackError, match="dance"):
        supervisor._request({"command": "dance"})
