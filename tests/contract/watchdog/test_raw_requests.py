"""Two thousand raw requests, good and spoiled: the watchdog reads them as both front ends of the gateway do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.raw_http import RawClient
from tests.support.raw_requests import check_all
from tests.support.watchdog import Watchdog


def test_raw_requests_are_answered_rightly_or_refused(
    shared: Callable[..., Watchdog], pytestconfig: pytest.Config
) -> None:
    watchdog = shared("python", "echo")
    known = len(watchdog.process.log())
    check_all(pytestconfig.getoption("--seed"), 2000, b"/", lambda: RawClient(f"{watchdog.host}:{watchdog.port}"))
    assert watchdog.request(b"well").body == b"well"
    assert "Traceback" not in watchdog.process.log()[known:]
    assert "internal_error" not in watchdog.process.log()[known:]
