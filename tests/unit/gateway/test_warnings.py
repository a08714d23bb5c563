"""Which doors a gateway says are open."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings import Settings
from gateway.warnings import warnings_of

CLOSED = {"listen_address": "127.0.0.1", "callback_guard": "private", "basic_auth": "true"}


@pytest.fixture
def secrets(tmp_path: Path) -> str:
    for name in ("basic-auth-user", "basic-auth-password"):
        (tmp_path / name).write_text("x")
    return str(tmp_path)


def warnings(secrets: str, **changed: str) -> list[str]:
    return warnings_of(Settings.from_environment({**CLOSED, "secret_mount_path": secrets, **changed}))


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"basic_auth": "false"}, "basic_auth is off"),
        ({"callback_guard": "off"}, "callback_guard is off"),
        ({"listen_address": "0.0.0.0"}, "trusted_proxies names no TLS proxy"),
        ({"listen_address": "::"}, "trusted_proxies names no TLS proxy"),
    ],
)
def test_each_open_door_is_one_sentence(secrets: str, changed: dict[str, str], word: str) -> None:
    (warning,) = warnings(secrets, **changed)
    assert word in warning


def test_a_closed_gateway_is_silent(secrets: str) -> None:
    assert warnings(secrets) == []
    assert warnings(secrets, listen_address="0.0.0.0", trusted_proxies="10.0.0.5") == []
