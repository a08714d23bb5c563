"""X-Priority: a place among the calls of one queue."""

from __future__ import annotations

import json

import pytest

from tests.support.hand_worker import take
from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import Answer, Pairs


@pytest.fixture(autouse=True)
def _nothing_queued(stage: InvocationStage) -> None:
    stage.redis.flush()


def send(stage: InvocationStage, *headers: tuple[str, str]) -> Answer:
    return stage.call("POST", "/async-function/stage", list(headers), b"x")


def test_high_comes_before_normal_before_low(stage: InvocationStage) -> None:
    sent = {word: send(stage, ("X-Priority", word)).header("X-Call-Id") for word in ("low", "normal", "high", "HIGH")}
    plain = send(stage).header("X-Call-Id")
    order = []
    while taken := take(stage.redis, "stage"):
        order.append(taken.call.call_id)
        assert taken.header("X-Priority") is None
    assert order == [sent["high"], sent["HIGH"], sent["normal"], plain, sent["low"]]


def test_the_status_says_which_and_where_it_stands(stage: InvocationStage) -> None:
    plain, low, high = (send(stage, *headers) for headers in ([], [("X-Priority", "low")], [("X-Priority", "high")]))
    seen = [json.loads(stage.call("GET", answer.header("Location") or "").body) for answer in (plain, low, high)]
    assert [document.get("priority") for document in seen] == [None, "low", "high"]
    assert [document["queue"] for document in seen] == ["stage", "stage:low", "stage:high"]
    assert [document["queuePosition"] for document in seen] == [1, 2, 0]


@pytest.mark.parametrize("headers", [[("X-Priority", "urgent")], [("X-Priority", "")], [("X-Priority", "1")]])
def test_another_word_is_a_400_that_names_the_header_and_the_words(stage: InvocationStage, headers: Pairs) -> None:
    answer = send(stage, *headers)
    assert answer.status == 400
    assert "X-Priority" in answer.text
    assert "high, normal, low" in answer.text
    assert take(stage.redis, "stage") is None
