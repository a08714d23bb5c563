"""The examples that are commands: echo, wordcount, sleep."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

Call = Callable[..., Any]


def test_echo_returns_every_byte_and_the_type_it_came_with(call: Call) -> None:
    body = bytes(range(256)) * 4096
    reply = call("echo", body, headers={"Content-Type": "application/x-thing"})
    assert (reply.status, reply.body) == (200, body)
    assert reply.headers["content-type"] == "application/x-thing"


@pytest.mark.parametrize("body", [b"", b"to be or not to be", b"one\ntwo  three\n" * 1000])
def test_wordcount_counts_as_wc_does(call: Call, body: bytes) -> None:
    expected = subprocess.run(["wc"], input=body, capture_output=True).stdout
    assert call("wordcount", body).body == expected


def test_sleep_tells_how_long_it_slept(call: Call) -> None:
    reply = call("sleep", b"0.2\n")
    assert (reply.status, reply.text) == (200, "slept 0.2 seconds\n")


def test_sleep_refuses_what_is_no_number_with_its_own_sentence(call: Call) -> None:
    reply = call("sleep", b"soon")
    assert reply.status == 500
    assert 'sleep: expected the seconds as the body, such as 2 or 0.5, got "soon"' in reply.text


def test_sleep_may_run_as_long_as_its_dockerfile_says(provider: Any) -> None:
    assert provider.table()["sleep"].exec_timeout == 300.0
    assert provider.table()["echo"].exec_timeout == 60.0
