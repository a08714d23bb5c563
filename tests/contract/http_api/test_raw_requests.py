"""Two thousand raw requests, good and spoiled: both front ends read them as the watchdog does."""

from __future__ import annotations

import pytest

from tests.support.invocation_stage import InvocationStage
from tests.support.raw_requests import check_all


def test_raw_requests_are_answered_rightly_or_refused(stage: InvocationStage, pytestconfig: pytest.Config) -> None:
    known = len(stage.gateway.log())
    check_all(pytestconfig.getoption("--seed"), 2000, b"/function/stage", stage.client)
    assert stage.call("POST", "/function/stage", body=b"well").body == b"well"
    assert "Traceback" not in stage.gateway.log()[known:]
    assert "request_failed" not in stage.gateway.log()[known:]
