"""What replicas find in their environment."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from swarmfn.provider.local.environment import host_path, machine_python, replica_environment
from swarmfn.provider.timeouts import MAX_DRAIN, drain_time
from swarmfn.wire.functions import FunctionSpec


def environment(
    env_vars: dict[str, str] | None = None,
    image_env: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
) -> dict[str, str]:
    function = FunctionSpec("f", "x", env_vars=env_vars or {}, labels=labels or {})
    return replica_environment(function, image_env or {}, default_exec_timeout=60, gateway_url="http://127.0.0.1:8080")


def test_nothing_of_the_platforms_environment_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("secret_mount_path", "/secrets")
    monkeypatch.setenv("VIRTUAL_ENV", "/venv")
    found = environment()
    assert "secret_mount_path" not in found
    assert "VIRTUAL_ENV" not in found
    assert {"PATH", "HOME", "LANG", "TMPDIR", "gateway_url"} <= found.keys()


def test_env_vars_win_over_the_images_env() -> None:
    found = environment(env_vars={"a": "deployed"}, image_env={"a": "image", "b": "image"})
    assert (found["a"], found["b"]) == ("deployed", "image")


def test_timeouts_follow_the_exec_timeout_unless_set() -> None:
    found = environment(image_env={"exec_timeout": "90s", "read_timeout": "5s"})
    assert (found["exec_timeout"], found["write_timeout"], found["read_timeout"]) == ("1m30s", "1m30s", "5s")


def test_the_exec_timeout_of_a_label_reaches_the_watchdog() -> None:
    assert environment(labels={"exec_timeout": "7s"})["exec_timeout"] == "7s"


def test_the_default_exec_timeout_applies_where_none_is_set() -> None:
    assert environment(env_vars={"exec_timeout": "0"})["exec_timeout"] == "1m"


def test_ports_and_lock_are_the_platforms_affair() -> None:
    found = environment(env_vars={"metrics_port": "8081", "suppress_lock": "false"})
    assert (found["metrics_port"], found["suppress_lock"]) == ("0", "true")


def test_the_drain_time_covers_the_longest_call() -> None:
    found = environment(env_vars={"exec_timeout": "5m", "write_timeout": "10s", "healthcheck_interval": "3s"})
    assert 303 <= drain_time(found) <= 310


def test_the_drain_time_has_a_limit() -> None:
    assert drain_time(environment(env_vars={"exec_timeout": "1000h"})) == MAX_DRAIN


def test_a_drain_time_can_be_told_for_bad_durations() -> None:
    assert drain_time(environment(env_vars={"write_timeout": "soon"})) >= 60


def test_functions_do_not_find_the_platforms_virtual_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Path(sys.prefix) / "bin"
    monkeypatch.setenv("PATH", f"{own}:/usr/bin:/bin")
    monkeypatch.setattr(sys, "base_prefix", "/somewhere/else")
    assert host_path() == "/usr/bin:/bin"


def test_there_is_a_path_even_if_the_platform_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATH")
    assert "/usr/bin" in host_path().split(":")


def test_the_machines_python_is_not_the_platforms() -> None:
    assert Path(machine_python()).exists()
    assert not machine_python().startswith(sys.prefix + "/") or sys.prefix == sys.base_prefix
