"""What some tests need of the machine: missing, such a test skips with its reason, or fails where it is required.

The environment variable REQUIRE lists what must be there (`REQUIRE=browser,swarm`); `REQUIRE=all` forbids every skip.
"""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def required() -> frozenset[str]:
    """The names in REQUIRE."""
    return frozenset(filter(None, (name.strip() for name in os.environ.get("REQUIRE", "").split(","))))


def missing(name: str, reason: str) -> NoReturn:
    """Ends the test because `name` (such as `browser`) is missing; `reason` says what helps, with the command."""
    if required() & {name, "all"}:
        pytest.fail(f"{name} is required (REQUIRE) and missing: {reason}", pytrace=False)
    pytest.skip(f"{name} is missing: {reason}")
