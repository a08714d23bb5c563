"""The gateway's settings, as far as one follows from another."""

from __future__ import annotations

from pathlib import Path

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


@pytest.mark.parametrize(
    "variables",
    [
        {"functions_memory_limit": "6Mi"},
        {"upload_budget": "5Mi", "async_max_body": "5Mi"},
        {"upload_budget": "0", "async_max_body": "5Mi"},
        {"upstream_timeout": "60s", "read_timeout": "60001ms", "write_timeout": "60001ms"},
        {"port": "9000", "management_port": "9001", "metrics_port": "9002"},
        {"port": "9000", "management_port": "0", "metrics_port": "0"},
        {"idempotency_window": "1ms", "exec_timeout": "1ms", "functions_start_timeout": "1ms"},
    ],
)
def test_what_is_just_allowed(variables: dict[str, str]) -> None:
    load(**variables)


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"functions_memory_limit": str(6 * 2**20 - 1)}, "functions_memory_limit: must be 6Mi or more"),
        ({"functions_memory_limit": "1"}, "functions_memory_limit: must be 6Mi or more"),
        ({"upload_budget": str(5 * 2**20 - 1), "async_max_body": "5Mi"}, "upload_budget: must not be less than async"),
        ({"upload_budget": "1"}, "upload_budget: must not be less than async_max_body"),
        ({"read_timeout": "60s"}, r"read_timeout: must be longer than upstream_timeout \(60s\)"),
        ({"write_timeout": "60s"}, r"write_timeout: must be longer than upstream_timeout \(60s\)"),
        ({"port": "9000", "management_port": "9000"}, "management_port: must differ from port and metrics_port"),
        ({"metrics_port": "9000", "management_port": "9000"}, "management_port: must differ from port and metrics_"),
        ({"upstream_timeout": "0"}, "upstream_timeout: must be more than 0"),
        ({"exec_timeout": "0"}, "exec_timeout: must be more than 0"),
        ({"idempotency_window": "0"}, "idempotency_window: must be more than 0"),
        ({"functions_start_timeout": "0"}, "functions_start_timeout: must be more than 0"),
        ({"basic_auth": "true"}, "basic_auth: needs the files basic-auth-user and basic-auth-password"),
    ],
)
def test_what_is_just_too_much_or_too_little(variables: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError, match=f"^cannot start: {problem}"):
        load(**variables)


def test_a_memory_limit_that_no_engine_takes_is_refused() -> None:
    with pytest.raises(SettingsError, match="functions_memory_limit: must be 6Mi or more"):
        load(functions_memory_limit="1Mi")
    assert load(functions_memory_limit="0").functions_memory_limit == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("listen_address", "a b"),
        ("listen_address", "[::1"),
        ("port", "0"),
        ("port", "65536"),
        ("management_port", "-1"),
        ("DOCKER_HOST", "http//x"),
        ("faas_gateway_address", "gateway"),
        ("faas_redis_address", "redis://me:hush@host:x"),
    ],
)
def test_an_address_of_another_form_is_refused(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"^cannot start: {name}: expected ") as refusal:
        Settings.from_environment({"basic_auth": "false", name: text})
    assert "hush" not in str(refusal.value)


def test_a_colon_in_the_user_s_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "basic-auth-user").write_text("a:b")
    (tmp_path / "basic-auth-password").write_text("c")
    with pytest.raises(SettingsError, match="basic-auth-user: has a colon in it"):
        Settings.from_environment({"secret_mount_path": str(tmp_path)})
