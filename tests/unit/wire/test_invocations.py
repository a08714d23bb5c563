"""Invocations, deliveries, responses and attempts as they are stored: other programs read and write them too."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from swarmfn.wire.errors import NewerLayout
from swarmfn.wire.invocations import VERSION, Attempt, Delivery, Invocation, StoredResponse
from swarmfn.wire.policies import RetryPolicy

SHORT = Invocation(
    call_id="a",
    function="echo",
    queue="echo",
    invoked_as="echo",
    method="POST",
    path="",
    query="",
    headers=[("x", "1"), ("x", "2")],
    exec_timeout=60.0,
    start_time=1769860800000000001,
)
LONG = replace(
    SHORT,
    invoked_as="echo.team",
    path="/p",
    query="q=1",
    callback_url="http://receiver/",
    retry=RetryPolicy(attempts=3),
    trace="00-1-2-01",
)
DELIVERY = Delivery("a:callback", "a", "echo", "http://receiver/", [("x", "1")], "00-1-2-01")
ATTEMPT = Attempt(at=1.5, seconds=0.25, status=0, worker="w", problem="no answer", number=2)


def test_what_is_as_usual_is_not_stored() -> None:
    assert json.loads(SHORT.to_json()) == {
        "v": 1, "fn": "echo", "m": "POST", "h": [["x", "1"], ["x", "2"]], "t": 60.0, "st": 1769860800000000001,
    }  # fmt: skip
    plain = Delivery("a:callback", "a", "echo", "http://receiver/", [])
    assert json.loads(plain.to_json()) == {"v": 1, "to": "http://receiver/", "of": "a", "fn": "echo", "h": []}
    assert json.loads(StoredResponse(200, [], 5).to_json()) == {"v": 1, "s": 200, "h": [], "n": 5}
    assert Attempt(1.23456, 0.1234567, 200, "w").to_json() == {
        "at": 1.235,
        "seconds": 0.123457,
        "status": 200,
        "worker": "w",
    }


@pytest.mark.parametrize("invocation", [SHORT, LONG])
def test_an_invocation_is_read_as_it_was_written(invocation: Invocation) -> None:
    assert Invocation.from_json("a", "echo", json.loads(invocation.to_json())) == invocation


def test_the_others_are_read_as_they_were_written() -> None:
    assert Delivery.from_json("a:callback", json.loads(DELIVERY.to_json())) == DELIVERY
    cut = StoredResponse(404, [("x", "1")], 5, is_truncated=True)
    assert StoredResponse.from_json(cut.to_json()) == cut
    assert StoredResponse.from_json(b'{"s": 200, "h": [], "n": 5}') == StoredResponse(200, [], 5)
    assert Attempt.from_json(ATTEMPT.to_json()) == ATTEMPT
    assert Attempt.from_json({"at": 1, "seconds": 2, "status": 200, "worker": "w", "new": 1}) == Attempt(1, 2, 200, "w")


def an_invocation(document: dict[str, Any]) -> object:
    return Invocation.from_json("a", "echo", document)


def a_delivery(document: dict[str, Any]) -> object:
    return Delivery.from_json("a:callback", document)


def a_response(document: dict[str, Any]) -> object:
    return StoredResponse.from_json(json.dumps(document).encode())


STORED: list[tuple[Callable[[dict[str, Any]], object], dict[str, Any]]] = [
    (an_invocation, json.loads(LONG.to_json())),
    (a_delivery, json.loads(DELIVERY.to_json())),
    (a_response, json.loads(StoredResponse(404, [("x", "1")], 5).to_json())),
    (Attempt.from_json, ATTEMPT.to_json()),
]
FIELDS = [pytest.param(read, whole, name, id=f"{read.__name__}-{name}") for read, whole in STORED for name in whole]


@pytest.mark.parametrize(("read", "whole", "name"), [field for field in FIELDS if field.values[2] != "v"])
@pytest.mark.parametrize("wrong", [None, [1], {"x": 1}, [["x", 1]], [[1, "x"]]])
def test_no_field_takes_a_value_of_another_type(
    read: Callable[[dict[str, Any]], object], whole: dict[str, Any], name: str, wrong: object
) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        read({**whole, name: wrong})


@pytest.mark.parametrize(("read", "whole"), STORED[:3])
def test_a_newer_layout_is_said_to_be_newer(read: Callable[[dict[str, Any]], object], whole: dict[str, Any]) -> None:
    read({**whole, "v": VERSION})
    with pytest.raises(NewerLayout):
        read({**whole, "v": VERSION + 1})
