"""X-Max-Age: how long a call is worth running."""

from __future__ import annotations

import json
import time
from datetime import datetime

import pytest

from tests.support.hand_worker import take
from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import Pairs


@pytest.fixture(autouse=True)
def _nothing_queued(stage: InvocationStage) -> None:
    stage.redis.flush()


def test_the_status_says_until_when_it_may_begin(stage: InvocationStage) -> None:
    before = time.time()
    answer = stage.call("POST", "/async-function/stage", [("X-Max-Age", "1h")], b"x")
    assert answer.status == 202
    document = json.loads(stage.call("GET", answer.header("Location") or "").body)
    assert document["state"] == "queued"
    expires = datetime.fromisoformat(document["expiresAt"]).timestamp()
    assert before + 3600 - 0.01 <= expires <= time.time() + 3600 + 0.01
    taken = take(stage.redis, "stage")
    assert taken is not None
    assert not taken.claim.has_expired
    assert taken.header("X-Max-Age") is None


def test_it_counts_from_when_the_call_is_due(stage: InvocationStage) -> None:
    answer = stage.call("POST", "/async-function/stage", [("X-Max-Age", "1h"), ("X-Delay", "1h")], b"x")
    document = json.loads(stage.call("GET", answer.header("Location") or "").body)
    times = [datetime.fromisoformat(document[name]).timestamp() for name in ("runAt", "expiresAt")]
    assert times[1] - times[0] == pytest.approx(3600, abs=0.01)


@pytest.mark.parametrize(
    "headers", [[("X-Max-Age", text)] for text in ("", "0", "0s", "100us", "-1s", "forever", "1 h", "9" * 400)]
)
def test_what_is_no_age_is_a_400_that_names_the_header_and_the_form(stage: InvocationStage, headers: Pairs) -> None:
    answer = stage.call("POST", "/async-function/stage", headers, b"x")
    assert answer.status == 400
    assert "X-Max-Age" in answer.text
    assert "1h" in answer.text
    assert len(answer.text) < 500
    assert take(stage.redis, "stage") is None
