"""How long a service may take to stop."""

from __future__ import annotations

import pytest

from stack.compose.model import Service
from stack.draining import with_room_to_drain


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 75.0),
        ({"upstream_timeout": "60s"}, 75.0),
        ({"upstream_timeout": "1h"}, 3615.0),
        ({"drain_timeout": "5m"}, 315.0),
        ({"drain_timeout": "300"}, 315.0),
        ({"upstream_timeout": "soon"}, 75.0),
    ],
)
def test_the_grace_period_covers_the_drain(environment: dict[str, str], expected: float) -> None:
    service = Service("web", "image", environment=environment, stop_grace_period=75.0)
    assert with_room_to_drain({"web": service})["web"].stop_grace_period == expected


def test_a_service_that_drains_nothing_keeps_its_own() -> None:
    service = Service("redis", "image", stop_grace_period=60.0)
    assert with_room_to_drain({"redis": service}) == {"redis": service}
