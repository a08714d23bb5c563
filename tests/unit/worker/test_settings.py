"""The worker's settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmfn.wire.errors import SettingsError
from worker.settings import Settings


def test_the_defaults_need_nothing(tmp_path: Path) -> None:
    settings = Settings.from_environment({"secret_mount_path": str(tmp_path)})
    assert str(settings.redis_address) == "redis:6379"
    assert settings.redis_password is None
    assert (settings.max_inflight, settings.worker_processes, settings.lease) == (100, 1, 12.0)


def test_settings_are_read_and_the_password_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "redis-password").write_text("secret!\n")
    settings = Settings.from_environment(
        {
            "secret_mount_path": str(tmp_path),
            "drain_timeout": "1m30s",
            "host_aliases": "Gateway:8080=127.0.0.1:9090, other:80=10.0.0.1:80",
            "max_result": "1Ki",
        }
    )
    assert settings.redis_password == "secret!"
    assert "secret!" not in repr(settings)
    assert (settings.drain_timeout, settings.max_result) == (90.0, 1024)
    assert settings.host_aliases == {"gateway:8080": "127.0.0.1:9090", "other:80": "10.0.0.1:80"}


def test_the_signing_key_is_a_file_that_is_not_empty_and_is_never_shown(tmp_path: Path) -> None:
    variables = {"secret_mount_path": str(tmp_path)}
    assert Settings.from_environment(variables).callback_signing_key is None
    (tmp_path / "callback-signing-key").write_text("signs!\n")
    settings = Settings.from_environment(variables)
    assert settings.callback_signing_key == "signs!"
    assert "signs!" not in repr(settings)
    (tmp_path / "callback-signing-key").write_text("\n")
    with pytest.raises(SettingsError, match="callback-signing-key"):
        Settings.from_environment(variables)


def test_every_bad_variable_is_named_at_once() -> None:
    bad = {"max_inflight": "0", "drain_timeout": "soon", "host_aliases": "gateway", "result_ttl": "10ms", "lease": "1h"}
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment(bad)
    for name in bad:
        assert name in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("host_aliases", "gateway:8080=127.0.0.1:abc"),
        ("host_aliases", "gateway:0=127.0.0.1:1"),
        ("metrics_address", "a b"),
        ("metrics_port", "70000"),
        ("faas_redis_address", "me:hush@host"),
    ],
)
def test_an_address_of_another_form_is_refused(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"^cannot start: {name}: expected ") as refusal:
        Settings.from_environment({name: text})
    assert "hush" not in str(refusal.value)


@pytest.mark.parametrize(
    "variables",
    [
        {"result_ttl": "1s", "failure_ttl": "1s"},
        {"lease": "1s"},
        {"lease": "10m"},
        {"metrics_port": "65533", "worker_processes": "3"},
        {"max_inflight": "1", "callback_max_inflight": "1", "worker_processes": "1"},
    ],
)
def test_what_is_just_allowed(tmp_path: Path, variables: dict[str, str]) -> None:
    Settings.from_environment({"secret_mount_path": str(tmp_path), **variables})


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"result_ttl": "999ms"}, "result_ttl, failure_ttl: must be at least one second"),
        ({"failure_ttl": "999ms"}, "result_ttl, failure_ttl: must be at least one second"),
        ({"lease": "999ms"}, "lease: must be between one second and ten minutes"),
        ({"lease": "600001ms"}, "lease: must be between one second and ten minutes"),
        ({"metrics_port": "65534", "worker_processes": "3"}, "metrics_port: there is no port 65536"),
        ({"callback_max_inflight": "0"}, "callback_max_inflight: expected a whole number of at least 1"),
        ({"worker_processes": "0"}, "worker_processes: expected a whole number of at least 1"),
    ],
)
def test_what_is_just_too_much_or_too_little(tmp_path: Path, variables: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError, match=f"^cannot start: {problem}"):
        Settings.from_environment({"secret_mount_path": str(tmp_path), **variables})
