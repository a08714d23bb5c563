"""A function that fails, as its operator sees it: attempts, one callback, dead letters, and a redrive after the fix."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.platform import Platform
from tests.support.waiting import wait_until

HANDLER = """
import os
from pathlib import Path

def handle(event, context):
    folder = Path(os.environ["folder"])
    with (folder / "runs").open("a") as runs:
        runs.write(event.headers["X-Call-Id"] + " " + event.headers["X-Attempt"] + "\\n")
    if (folder / "broken").exists():
        return {"statusCode": 500, "body": "out of order"}
    if int(event.headers["X-Attempt"]) < 3 and event.body == b"busy":
        return {"statusCode": 503, "headers": {"Retry-After": "1"}, "body": "come back"}
    return {"statusCode": 200, "body": event.body.upper()}
"""
POLICY = {"com.openfaas.retry.attempts": "3", "com.openfaas.retry.min_wait": "50ms"}
NOTIFY = "http://gateway:8080/function/notify"


@pytest.fixture
def fickle(platform: Platform, tmp_path: Path) -> Iterator[Path]:
    """A function `fickle`; it fails while there is a file `broken` in the folder, where `runs` has its attempts."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "handler.py").write_text(HANDLER)
    environment = {"folder": str(tmp_path)}
    spec = {"service": "fickle", "image": f"dir:{tmp_path / 'code'}", "envVars": environment, "annotations": POLICY}
    assert platform.system("POST", "/system/functions", json=spec).status_code == 202
    wait_until(lambda: platform.system("GET", "/system/function/fickle").json()["availableReplicas"], 60)
    yield tmp_path
    platform.system("DELETE", "/system/functions", json={"functionName": "fickle"})
    platform.system("POST", "/system/invocations/purge", json={"function": "fickle"})


def ended(platform: Platform, call_id: str) -> dict[str, Any]:
    """The status of a call once it and its callback have ended."""

    def look() -> dict[str, Any] | None:
        status = platform.status(call_id)
        is_final = status["state"] in ("succeeded", "failed")
        return status if is_final and status["callback"]["state"].startswith("delivered") else None

    status = wait_until(look, 60, f"{call_id} has ended and its receiver knows")
    assert status is not None
    return status


def callbacks(platform: Platform, call_id: str) -> list[tuple[int, str]]:
    """Status and text of each callback of a call."""
    answer = requests.get(f"{platform.url}/function/notify", params={"call_id": call_id}, timeout=60).json()
    return [(entry["function_status"], entry["text"]) for entry in answer["callbacks"]]


def attempts(folder: Path, call_id: str) -> list[int]:
    """The numbers that the function itself has seen."""
    lines = (folder / "runs").read_text().splitlines()
    return [int(line.split()[1]) for line in lines if line.split()[0] == call_id]


def letters(platform: Platform) -> list[str]:
    answer = platform.system("GET", "/system/invocations", params={"function": "fickle"})
    return [call["callId"] for call in answer.json()["invocations"]]


def imbalance(platform: Platform) -> str:
    lines = platform.system("GET", "/metrics").text.splitlines()
    return next(line for line in lines if line.startswith("swarmfn_ledger_imbalance"))


def test_a_503_with_retry_after_twice_and_then_a_200(platform: Platform, fickle: Path) -> None:
    call_id = platform.send("fickle", b"busy", NOTIFY)
    status = ended(platform, call_id)
    assert status["state"] == "succeeded"
    assert [(attempt["number"], attempt["status"]) for attempt in status["attempts"]] == [(1, 503), (2, 503), (3, 200)]
    moments = [datetime.fromisoformat(attempt["at"]).timestamp() for attempt in status["attempts"]]
    assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(moments))
    assert attempts(fickle, call_id) == [1, 2, 3]
    assert callbacks(platform, call_id) == [(200, "BUSY")]
    assert platform.result(call_id).content == b"BUSY"
    assert letters(platform) == []


def test_one_that_always_fails_is_a_dead_letter_until_it_is_mended(platform: Platform, fickle: Path) -> None:
    (fickle / "broken").touch()
    call_id = platform.send("fickle", b"hello", NOTIFY)
    status = ended(platform, call_id)
    assert status["state"] == "failed"
    assert [(attempt["number"], attempt["status"]) for attempt in status["attempts"]] == [(1, 500), (2, 500), (3, 500)]
    assert attempts(fickle, call_id) == [1, 2, 3]
    assert callbacks(platform, call_id) == [(500, "out of order")]
    assert letters(platform) == [call_id]
    shown = platform.system("GET", f"/system/invocations/{call_id}").json()
    assert (len(shown["attempts"]), shown["request"]["bodySize"]) == (3, 5)

    (fickle / "broken").unlink()
    redriven = platform.system("POST", "/system/invocations/redrive", json={"function": "fickle"}).json()
    assert redriven == {"redriven": 1, "skipped": {}, "complete": True}
    wait_until(lambda: platform.status(call_id)["state"] == "succeeded", 60)
    assert [attempt["status"] for attempt in ended(platform, call_id)["attempts"]] == [200]
    assert attempts(fickle, call_id) == [1, 2, 3, 1]
    assert callbacks(platform, call_id) == [(500, "out of order"), (200, "HELLO")]
    assert letters(platform) == []
    assert imbalance(platform) == "swarmfn_ledger_imbalance 0.0"


def test_a_callback_that_nobody_took_is_sent_again_without_the_function(platform: Platform, fickle: Path) -> None:
    """A receiver that is not there is refused with 404, which another try would not change."""
    call_id = platform.send("fickle", b"hello", "http://gateway:8080/function/not-there")
    wait_until(lambda: platform.status(call_id)["callback"]["state"].startswith("failed"), 60)
    query = {"state": "undelivered", "function": "fickle"}
    (letter,) = platform.system("GET", "/system/invocations", params=query).json()["invocations"]
    assert (letter["reports"], letter["lastStatus"]) == (call_id, 404)
    environment = {"service": "not-there", "image": "none", "envProcess": "cat"}
    assert platform.system("POST", "/system/functions", json=environment).status_code == 202
    try:
        wait_until(lambda: platform.system("GET", "/system/function/not-there").json()["availableReplicas"], 60)
        redrive = {"ids": [letter["callId"]]}
        assert platform.system("POST", "/system/invocations/redrive", json=redrive).json()["redriven"] == 1
        assert ended(platform, call_id)["state"] == "succeeded"
        assert attempts(fickle, call_id) == [1]
    finally:
        platform.system("DELETE", "/system/functions", json={"functionName": "not-there"})
