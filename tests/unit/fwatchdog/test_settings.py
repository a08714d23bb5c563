from __future__ import annotations

import re
from dataclasses import fields

import pytest

from fwatchdog.settings import Settings
from swarmfn.wire.errors import SettingsError
from tests.support.processes import REPOSITORY


def test_defaults_are_those_of_the_contract() -> None:
    settings = Settings.load({"fprocess": "cat"})
    assert settings.mode == "fork"
    assert settings.command == ("cat",)
    assert (settings.port, settings.metrics_port, settings.listen_fd) == (8080, 8081, -1)
    assert (settings.read_timeout, settings.write_timeout, settings.exec_timeout) == (30, 30, 0)
    assert settings.healthcheck_interval == 30
    assert settings.content_type == ""
    assert (settings.combine_output, settings.cgi_headers, settings.prefix_logs) == (True, True, True)
    assert (settings.write_debug, settings.suppress_lock) == (False, False)
    assert settings.workers >= 2
    assert settings.warnings == ()


def test_limits_of_connections_are_settings() -> None:
    usual = Settings.load({"fprocess": "cat"})
    assert (usual.idle_timeout, usual.linger_timeout, usual.max_head) == (180, 5, 65536)
    chosen = {"fprocess": "cat", "idle_timeout": "5m", "linger_timeout": "1s", "max_head": "128Ki"}
    settings = Settings.load(chosen)
    assert (settings.idle_timeout, settings.linger_timeout, settings.max_head) == (300, 1, 131072)
    for size in ("100", "1Gi", "large"):
        with pytest.raises(SettingsError, match="max_head: expected"):
            Settings.load({"fprocess": "cat", "max_head": size})


def test_settings_go_up_to_their_bounds_and_not_beyond() -> None:
    for size in ("1024", "1Mi"):
        assert Settings.load({"fprocess": "cat", "max_head": size}).max_head in (1024, 2**20)
    for name, text in (
        ("max_head", "1023"),
        ("max_head", str(2**20 + 1)),
        ("port", "65536"),
        ("port", "-1"),
        ("metrics_port", "65536"),
        ("workers", "0"),
        ("threads", "0"),
    ):
        with pytest.raises(SettingsError, match=f"^cannot start: {name}: expected "):
            Settings.load({"fprocess": "cat", name: text})
    for name in ("workers", "threads", "port"):
        assert getattr(Settings.load({"fprocess": "cat", name: "1"}), name) == 1


def test_lines_of_the_log_are_as_long_as_they_may_be() -> None:
    def longest(text: str) -> int:
        return Settings.load({"fprocess": "cat", "log_buffer_size": text}).log_buffer_size

    assert [longest(text) for text in ("", "0", "1", "100000", "-1")] == [65536, 65536, 1, 100000, 16 * 2**20]


def test_healthcheck_interval_follows_write_timeout() -> None:
    assert Settings.load({"fprocess": "cat", "write_timeout": "1m30s"}).healthcheck_interval == 90
    assert (
        Settings.load({"fprocess": "cat", "write_timeout": "9", "healthcheck_interval": "0"}).healthcheck_interval == 0
    )


def test_modes_of_the_newer_watchdog_have_its_defaults() -> None:
    for mode in ("serializing", "streaming", "http", "static"):
        settings = Settings.load({"mode": mode, "fprocess": "cat", "http_upstream_url": "http://127.0.0.1:1"})
        assert settings.mode == mode
        assert (settings.exec_timeout, settings.combine_output) == (30, False)
    assert Settings.load({"mode": "static"}).static_path == "/home/app/public"
    assert Settings.load({"mode": "classic", "fprocess": "cat"}).mode == "fork"


def test_calls_are_limited_where_each_starts_a_process() -> None:
    command = {"fprocess": "cat", "http_upstream_url": "http://127.0.0.1:1"}
    for mode in ("fork", "classic", "serializing", "streaming"):
        assert Settings.load({**command, "mode": mode}).max_inflight == 128
        assert Settings.load({**command, "mode": mode, "max_inflight": "0"}).max_inflight == 0
        assert Settings.load({**command, "mode": mode, "max_inflight": "1000"}).max_inflight == 1000
    for mode in ("http", "static"):
        assert Settings.load({**command, "mode": mode}).max_inflight == 0
    assert Settings.load({"handler_path": "/f"}).max_inflight == 0


def test_newer_names_win_over_older_ones() -> None:
    variables = {"mode": "http", "fprocess": "cat", "upstream_url": "http://a", "http_upstream_url": "http://b"}
    assert Settings.load(variables).upstream_url == "http://b"
    assert Settings.load({"fprocess": "cat", "function_process": "wc"}).command == ("wc",)
    assert Settings.load({"fprocess": "cat", "buffer_http": "true"}).http_buffer_req_body


def test_url_without_its_mode_is_a_warning() -> None:
    warnings = Settings.load({"fprocess": "cat", "upstream_url": "http://127.0.0.1:1"}).warnings
    assert len(warnings) == 1
    assert "mode=http" in warnings[0]


def test_handler_path_without_fprocess_means_python() -> None:
    assert Settings.load({"handler_path": "/f"}).mode == "python"
    assert Settings.load({"handler_path": "/f", "fprocess": "cat"}).mode == "fork"
    assert Settings.load({"handler_path": "/f", "fprocess": "cat", "mode": "python"}).mode == "python"


@pytest.mark.parametrize("name", ["read_timeout", "write_timeout", "exec_timeout", "healthcheck_interval"])
def test_duration_that_does_not_parse_falls_back(name: str) -> None:
    default = getattr(Settings.load({"fprocess": "cat"}), name)
    settings = Settings.load({"fprocess": "cat", name: "soon"})
    assert getattr(settings, name) == default
    assert len(settings.warnings) == 1
    assert name in settings.warnings[0]


@pytest.mark.parametrize("name", ["write_debug", "prefix_logs", "cgi_headers", "combine_output", "suppress_lock"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [(word, True) for word in ("1", "t", "T", "true", "TRUE", "True", "yes", "On")]
    + [(word, False) for word in ("0", "f", "F", "false", "FALSE", "False", "no", "Off")],
)
def test_flags_are_read_as_go_writes_them(name: str, text: str, expected: bool) -> None:
    settings = Settings.load({"fprocess": "cat", name: text})
    assert getattr(settings, name) is expected
    assert settings.warnings == ()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("write_debug", "y", False),
        ("prefix_logs", "y", True),
        ("combine_output", "y", False),
        ("cgi_headers", "enabled", False),
        ("max_inflight", "many", 128),
        ("max_inflight", "1.5", 128),
        ("log_buffer_size", "64Ki", 65536),
    ],
)
def test_what_does_not_parse_is_ignored_with_a_warning(name: str, text: str, expected: object) -> None:
    settings = Settings.load({"fprocess": "cat", name: text})
    assert getattr(settings, name) == expected
    assert len(settings.warnings) == 1
    assert settings.warnings[0].startswith(f"{name}: expected ")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("max_inflight", "-1", 0),
        ("max_inflight", "+5", 5),
        ("log_buffer_size", "-1", 16 * 2**20),
        ("log_buffer_size", "0", 65536),
        ("log_buffer_size", "10", 10),
    ],
)
def test_numbers_that_openfaas_takes_are_taken(name: str, text: str, expected: int) -> None:
    settings = Settings.load({"fprocess": "cat", name: text})
    assert getattr(settings, name) == expected
    assert settings.warnings == ()


def test_every_bad_variable_is_named() -> None:
    variables = {"mode": "serverless", "port": "99999", "workers": "0", "content_type": "a\nb"}
    with pytest.raises(SettingsError) as caught:
        Settings.load(variables)
    for name in (*variables, "port"):
        assert f"{name}: " in str(caught.value)


def test_every_setting_is_in_the_reference() -> None:
    page = (REPOSITORY / "docs" / "reference" / "watchdog.md").read_text()
    documented = set(re.findall(r"^\| `([a-z_]+)`", page, re.MULTILINE))
    names = {field.name for field in fields(Settings)} - {"command", "warnings"}
    assert names | {"fprocess", "function_process", "http_upstream_url", "buffer_http"} <= documented
