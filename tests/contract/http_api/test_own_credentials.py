"""The gateway's own credentials reach no function, and nothing that is stored."""

from __future__ import annotations

import base64

import pytest

from tests.support.gateway import PASSWORD, USER
from tests.support.hand_worker import take
from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import Pairs

RIGHT = f"{USER}:{PASSWORD}".encode()
ENCODED = base64.b64encode(RIGHT).decode()

FORMS: list[Pairs] = [
    [("Authorization", f"Basic {ENCODED}")],
    [("authorization", f"bASIC \t {ENCODED.rstrip('=')}")],
    [("AUTHORIZATION", "Basic " + base64.urlsafe_b64encode(RIGHT).decode())],
    [("Authorization", "Bearer other"), ("Authorization", f"Basic {ENCODED}")],
    [("Authorization", f"Basic {ENCODED}"), ("Authorization", "Bearer other")],
    [("Proxy-Authorization", f"Basic {ENCODED}")],
]


@pytest.mark.parametrize("form", FORMS)
def test_a_call_does_not_give_them_to_the_function(stage: InvocationStage, form: Pairs) -> None:
    assert stage.call("POST", "/function/stage", [*form, ("X-Kept", "1")], b"body").status == 200
    exchange = stage.replica.exchange()
    assert ENCODED.rstrip("=").encode() not in exchange.head
    assert exchange.all("Proxy-Authorization") == []
    assert exchange.header("X-Kept") == "1"


@pytest.mark.parametrize("form", FORMS)
def test_an_asynchronous_call_is_stored_without_them(stage: InvocationStage, form: Pairs) -> None:
    stage.redis.flush()
    assert stage.call("POST", "/async-function/stage", [*form, ("X-Kept", "1")], b"body").status == 202
    claimed = take(stage.redis, "stage")
    assert claimed is not None
    headers = dict(claimed.call.headers)
    assert headers["x-kept"] == "1"
    assert "proxy-authorization" not in headers
    assert ENCODED.rstrip("=") not in repr(claimed.call.headers)


@pytest.mark.parametrize("value", ["Bearer of-the-function", "Basic eDp5", "Basic " + ENCODED[:-4]])
def test_other_credentials_reach_the_function(stage: InvocationStage, value: str) -> None:
    stage.redis.flush()
    stage.call("POST", "/function/stage", [("Authorization", value)], b"")
    assert stage.replica.exchange().header("Authorization") == value
    stage.call("POST", "/async-function/stage", [("Authorization", value)], b"")
    claimed = take(stage.redis, "stage")
    assert claimed is not None
    assert dict(claimed.call.headers)["authorization"] == value
