"""What a user sees when a part of the running platform is killed, or a function misbehaves."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.platform import Platform
from tests.support.processes import is_running
from tests.support.waiting import wait_until

CALLS = 40


def service_pid(platform: Platform, name: str) -> int:
    """The process of a service, as `status --json` tells."""
    report = json.loads(platform.command("status", "--json").stdout)
    row = next(service for service in report["services"] if service["name"] == name)
    return int(row["pid"])


@pytest.fixture
def deploy(platform: Platform) -> Iterator[Any]:
    """Deploys functions and waits until they can serve; removes them at the end."""
    names: list[str] = []

    def make(name: str, **fields: Any) -> None:
        names.append(name)
        answer = platform.system("POST", "/system/functions", json={"service": name, **fields})
        assert answer.status_code == 202, answer.text
        wait_until(
            lambda: platform.system("GET", f"/system/function/{name}").json()["availableReplicas"] > 0,
            message=f"{name} is ready",
        )

    yield make
    for name in names:
        platform.system("DELETE", "/system/functions", json={"functionName": name})


def ended(platform: Platform, call_id: str) -> dict[str, Any] | None:
    """A final call's status, or None."""
    status = platform.status(call_id)
    return status if status["state"] in ("succeeded", "failed") else None


@pytest.fixture
def slow_cat(deploy: Any, tmp_path: Path) -> Path:
    """A function `slowcat` that takes a second, and notes each run as a line in the file."""
    runs = tmp_path / "runs"
    folder = tmp_path / "slowcat"
    folder.mkdir()
    script = folder / "run.sh"
    script.write_text(f"#!/bin/sh\nread body\necho $body >> {runs}\nsleep 1\necho $body\n")
    script.chmod(0o755)
    deploy("slowcat", image=f"dir:{folder}", envProcess="sh run.sh")
    return runs


@pytest.mark.parametrize("service", ["gateway", "worker", "redis"])
def test_no_accepted_call_is_lost_when_a_service_is_killed(platform: Platform, slow_cat: Path, service: str) -> None:
    bodies = {platform.send("slowcat", f"{service}-{number}\n".encode()): number for number in range(CALLS)}
    wait_until(slow_cat.exists, message="the first runs have begun")
    os.kill(service_pid(platform, service), signal.SIGKILL)

    def all_ended() -> bool:
        return all(ended(platform, call_id) for call_id in bodies)

    wait_until(all_ended, timeout=90, message="every call has ended", every=0.3)
    for call_id, number in bodies.items():
        assert platform.status(call_id)["state"] == "succeeded"
        assert platform.result(call_id).content == f"{service}-{number}\n".encode()
    runs = slow_cat.read_text().splitlines()
    assert set(runs) == {f"{service}-{number}" for number in range(CALLS)}
    if service != "worker":
        # Only a dead worker's calls have to be run again: what it was running, it runs to the end otherwise.
        assert len(runs) == CALLS


def test_functions_go_on_in_the_same_processes_when_the_gateway_is_killed(
    platform: Platform, deploy: Any, tmp_path: Path
) -> None:
    (tmp_path / "handler.py").write_text("import os\ndef handle(req):\n    return str(os.getppid())\n")
    deploy("parent", image=f"dir:{tmp_path}")
    before = platform.call("parent").text
    os.kill(service_pid(platform, "gateway"), signal.SIGKILL)

    def answers() -> bool:
        return requests.get(f"{platform.url}/healthz", timeout=5).status_code == 200

    wait_until(answers, message="the gateway is back")
    after = wait_until(lambda: platform.call("parent").text, message="the function is found again")
    assert after == before


def test_past_exec_timeout_the_answer_is_504_and_nothing_runs_on(
    platform: Platform, deploy: Any, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    folder = tmp_path / "hang"
    folder.mkdir()
    (folder / "run.sh").write_text(f"sleep 300 &\necho $! > {pid_file}\ntrap '' TERM\nwait\nwait\n")
    deploy("hang", image=f"dir:{folder}", envProcess="sh run.sh", envVars={"exec_timeout": "1500ms"})
    call_id = platform.send("hang")
    status = wait_until(lambda: ended(platform, call_id), message="the call has ended")
    assert status["state"] == "failed"
    assert [attempt["status"] for attempt in status["attempts"]] == [504]
    assert platform.result(call_id).status_code == 504
    grandchild = int(pid_file.read_text())
    wait_until(lambda: not is_running(grandchild), message="the whole process group is gone")


def test_handlers_that_raise_or_kill_their_interpreter_cost_their_own_call_only(
    platform: Platform, deploy: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "moody"
    folder.mkdir()
    (folder / "handler.py").write_text(
        "import os\n"
        "def handle(req):\n"
        "    if req == 'raise':\n        raise ValueError('secret detail')\n"
        "    if req == 'die':\n        os._exit(9)\n"
        "    return req.upper()\n"
    )
    deploy("moody", image=f"dir:{folder}")
    raised = platform.call("moody", b"raise")
    assert raised.status_code == 500
    assert "secret detail" not in raised.text
    assert platform.call("moody", b"die").status_code == 500
    assert platform.call("moody", b"fine").text == "FINE"
    call_id = platform.send("moody", b"die")
    assert wait_until(lambda: ended(platform, call_id), message="the call has ended")["state"] == "failed"


def test_why_a_function_cannot_start_is_told_to_those_who_run_the_platform(platform: Platform, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "handler.py").write_text("import a_module_that_is_not_there\n")
    platform.system("POST", "/system/functions", json={"service": "broken", "image": f"dir:{folder}"})
    try:
        wait_until(
            lambda: "a_module_that_is_not_there" in platform.command("status").stdout,
            message="the status names the missing module",
        )
        answer = platform.call("broken")
        assert (answer.status_code, answer.headers["Retry-After"].isdigit()) == (503, True)
        assert answer.text == 'function "broken" has no healthy replica. Its log and the gateway\'s say why.\n'
    finally:
        platform.system("DELETE", "/system/functions", json={"functionName": "broken"})


def test_a_loop_of_callbacks_comes_to_an_end_that_is_told(platform: Platform, deploy: Any, tmp_path: Path) -> None:
    again = "http://gateway:8080/async-function/looper"
    (tmp_path / "handler.py").write_text(
        "def handle(event, context):\n"
        f"    open({str(tmp_path / 'runs')!r}, 'a').write(event.headers.get('X-Call-Hops', '0') + '\\n')\n"
        f"    headers = {{'X-Callback-Url': {again!r}, 'X-Call-Hops': '0'}}\n"
        "    return {'statusCode': 200, 'body': 'on', 'headers': headers}\n"
    )
    deploy("looper", image=f"dir:{tmp_path}")
    platform.send("looper", callback=again)
    failed = "/system/invocations?state=undelivered&function=looper"
    wait_until(lambda: platform.system("GET", failed).json()["invocations"], message="the loop has ended")
    assert (tmp_path / "runs").read_text().split() == [str(hops) for hops in range(17)]
    (last,) = platform.system("GET", failed).json()["invocations"]
    assert last["lastProblem"] == "it would be callback 17 in a row, which may be a loop (max_hops)"
