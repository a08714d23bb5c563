"""The gateway's settings, as far as one follows from another."""

from __future__ import annotations

import pytest

from gateway.settings import Settings
from swarmfn.wire.errors import SettingsError


def load(**variables: str) -> Settings:
    return Settings.from_environment({"basic_auth": "false", **variables})


@pytest.mark.parametrize(("upstream", "outer"), [("", 65.0), ("5m", 305.0), ("1500ms", 6.5)])
def test_the_outer_limits_follow_upstream_timeout(upstream: str, outer: float) -> None:
    settings = load(upstream_timeout=upstream, read_timeout="")
    assert (settings.read_timeout, settings.write_timeout) == (outer, outer)


def test_an_outer_limit_that_is_set_is_kept() -> None:
    settings = load(upstream_timeout="2m", read_timeout="10m")
    assert (settings.read_timeout, settings.write_timeout) == (600.0, 125.0)


def test_an_outer_limit_that_would_come_first_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"read_timeout: must be longer than upstream_timeout \(120s\)$"):
        load(upstream_timeout="2m", read_timeout="65s")


def test_a_memory_limit_that_no_engine_takes_is_refused() -> None:
    with pytest.raises(SettingsError, match="functions_memory_limit: must be 6Mi or more"):
        load(functions_memory_limit="1Mi")
    assert load(functions_memory_limit="0").functions_memory_limit == 0
