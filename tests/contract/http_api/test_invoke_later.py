"""X-Delay and X-Run-At: accepted now, run later."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.support.hand_worker import take
from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import Answer, Pairs


@pytest.fixture(autouse=True)
def _nothing_queued(stage: InvocationStage) -> None:
    stage.redis.flush()


def send(stage: InvocationStage, *headers: tuple[str, str]) -> Answer:
    return stage.call("POST", "/async-function/stage", list(headers), b"x")


def status(stage: InvocationStage, answer: Answer) -> dict[str, Any]:
    return dict(json.loads(stage.call("GET", answer.header("Location") or "").body))


def due(stage: InvocationStage, answer: Answer) -> float:
    return datetime.fromisoformat(status(stage, answer)["runAt"]).timestamp()


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("10m", 600), ("1h30m", 5400), ("720h", 720 * 3600)])
def test_a_delay_is_counted_from_now(stage: InvocationStage, text: str, seconds: float) -> None:
    before = time.time()
    answer = send(stage, ("X-Delay", text))
    assert (answer.status, answer.body) == (202, b"")
    assert status(stage, answer)["state"] == "scheduled"
    assert "queuePosition" not in status(stage, answer)
    assert before + seconds - 0.01 <= due(stage, answer) <= time.time() + seconds + 0.01
    assert take(stage.redis, "stage") is None


def test_a_moment_is_kept_to_the_millisecond_in_any_zone(stage: InvocationStage) -> None:
    moment = datetime.fromtimestamp(int(time.time()) + 3600.25, UTC)
    texts = [
        moment.isoformat(),
        moment.isoformat().replace("+00:00", "Z"),
        moment.isoformat().replace("T", "t").replace("+00:00", "z"),
        moment.astimezone(timezone(timedelta(hours=-8, minutes=-30))).isoformat(),
        moment.isoformat().replace("250000", "250000999"),
        moment.isoformat(sep=" "),
    ]
    for text in texts:
        answer = send(stage, ("X-Run-At", text))
        assert answer.status == 202, (text, answer.text)
        assert due(stage, answer) == pytest.approx(moment.timestamp(), abs=0.002)


def test_a_leap_second_is_a_moment_too(stage: InvocationStage) -> None:
    midnight = datetime.combine(datetime.now(UTC).date() + timedelta(days=2), datetime.min.time(), UTC)
    answer = send(stage, ("X-Run-At", f"{midnight - timedelta(days=1):%Y-%m-%d}T23:59:60Z"))
    assert answer.status == 202, answer.text
    assert due(stage, answer) == midnight.timestamp()


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Delay", "0")],
        [("X-Delay", "0s")],
        [("X-Run-At", "1999-12-31T23:59:59Z")],
        [("X-Run-At", "0001-01-01T00:00:00+01:00")],
    ],
)
def test_what_has_passed_is_queued_at_once(stage: InvocationStage, headers: Pairs) -> None:
    answer = send(stage, *headers)
    assert answer.status == 202
    assert status(stage, answer)["state"] == "queued"
    assert take(stage.redis, "stage") is not None


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ([("X-Delay", "soon")], "10m"),
        ([("X-Delay", "")], "10m"),
        ([("X-Delay", "-5s")], "10m"),
        ([("X-Delay", "1d")], "10m"),
        ([("X-Delay", "5 minutes")], "10m"),
        ([("X-Delay", "٣")], "10m"),
        ([("X-Delay", "9" * 400)], "10m"),
        ([("X-Delay", "720h1s")], "async_max_delay"),
        ([("X-Delay", "1m"), ("X-Delay", "2m")], "Send"),
        ([("X-Run-At", "tomorrow")], "2030-01-31T12:00:00Z"),
        ([("X-Run-At", "")], "2030-01-31T12:00:00Z"),
        ([("X-Run-At", "2030-01-31")], "2030-01-31T12:00:00Z"),
        ([("X-Run-At", "2030-01-31T12:00:00")], "2030-01-31T12:00:00Z"),
        ([("X-Run-At", "2030-02-31T12:00:00Z")], "2030-01-31T12:00:00Z"),
        ([("X-Run-At", "2030-01-31T25:00:00Z")], "2030-01-31T12:00:00Z"),
        ([("X-Run-At", "1893456000")], "2030-01-31T12:00:00Z"),
        ([("X-Run-At", "2030-01-31T12:00:00+99:00")], "2030-01-31T12:00:00Z"),
        ([("X-Run-At", "9999-12-31T23:59:59Z")], "async_max_delay"),
    ],
)
def test_what_is_no_time_is_a_400_that_names_the_header_and_the_form(
    stage: InvocationStage, headers: Pairs, form: str
) -> None:
    answer = send(stage, *[(name, value.encode().decode("latin-1")) for name, value in headers])
    assert answer.status == 400
    assert headers[0][0] in answer.text
    assert form in answer.text
    assert len(answer.text) < 500
    with stage.redis.client() as client:
        assert not client.exists("swarmfn:due", "rq:queue:stage")


def test_both_are_a_400(stage: InvocationStage) -> None:
    answer = send(stage, ("X-Delay", "1m"), ("X-Run-At", "2030-01-31T12:00:00Z"))
    assert answer.status == 400
    assert "X-Delay" in answer.text
    assert "X-Run-At" in answer.text


def test_it_can_be_cancelled(stage: InvocationStage) -> None:
    location = send(stage, ("X-Delay", "1h")).header("Location") or ""
    assert stage.call("DELETE", location).status == 202
    assert json.loads(stage.call("GET", location).body)["state"] == "cancelled"
    assert stage.call("DELETE", location).status == 409


def test_its_result_is_not_ready(stage: InvocationStage) -> None:
    answer = stage.call("GET", f"{send(stage, ('X-Delay', '1h')).header('Location')}/result")
    assert (answer.status, answer.header("Retry-After")) == (202, "1")


def test_the_function_does_not_see_the_headers(stage: InvocationStage) -> None:
    send(stage, ("X-Delay", "0"))
    taken = take(stage.redis, "stage")
    assert taken is not None
    assert taken.header("X-Delay") is None
