"""Callbacks of a worker that has a key, checked by what the how-to gives to receivers."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.http import Answer, Received, RecordingServer
from tests.support.processes import REPOSITORY
from tests.support.queue_stage import QueueStage, invocation
from tests.support.worker_process import WorkerProcess, publish

KEY = "a key with spaces, and ü"


@pytest.fixture(scope="module")
def is_genuine() -> Callable[..., bool]:
    """The function in the how-to."""
    page = (REPOSITORY / "docs" / "how-to" / "callbacks.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    found: Callable[..., bool] = names["is_genuine"]
    return found


@pytest.fixture
def signing(bare_stage: QueueStage, tmp_path: Path) -> QueueStage:
    """A queue for a worker that has a key; the test starts it."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "callback-signing-key").write_text(f"{KEY}\n")
    return bare_stage


@pytest.mark.parametrize("body", [b"", b"\x00short and stout", bytes(range(256)) * 40_000])
def test_a_receiver_with_the_key_can_tell_a_genuine_callback(
    signing: QueueStage, tmp_path: Path, is_genuine: Callable[..., bool], body: bytes
) -> None:
    forged = [("X-Callback-Signature", "sha256=0"), ("X-Callback-Timestamp", "1")]
    with RecordingServer(lambda request: (200, forged, request.body)) as function, RecordingServer() as receiver:
        publish(signing.redis, {"echo": function.address})
        signing.submit(invocation("a", callback_url=receiver.url), body)
        with WorkerProcess(signing.server, tmp_path):
            signing.told("a", "delivered")
    (told,) = receiver.received
    assert told.body == body
    headers = dict(told.headers)
    assert len(headers) == len(told.headers)
    key = KEY.encode()
    assert is_genuine(key, headers, told.body)
    assert not is_genuine(key, headers, told.body + b"x")
    assert not is_genuine(b"another", headers, told.body)
    assert not is_genuine(key, headers, told.body, now=time.time() + 3600)
    older = {**headers, "X-Callback-Timestamp": str(int(headers["X-Callback-Timestamp"]) - 1)}
    assert not is_genuine(key, older, told.body)
    assert not is_genuine(key, {}, told.body)


def test_one_that_is_offered_again_is_signed_again(
    signing: QueueStage, tmp_path: Path, is_genuine: Callable[..., bool]
) -> None:
    count = itertools.count()

    def busy_once(request: Received) -> Answer:
        return (503, [("Retry-After", "2")], b"") if next(count) < 1 else (200, [], b"")

    with RecordingServer() as function, RecordingServer(busy_once) as receiver:
        publish(signing.redis, {"echo": function.address})
        signing.submit(invocation("a", callback_url=receiver.url))
        with WorkerProcess(signing.server, tmp_path):
            signing.told("a", "delivered")
    first, second = (dict(request.headers) for request in receiver.received)
    assert int(second["X-Callback-Timestamp"]) > int(first["X-Callback-Timestamp"])
    assert all(is_genuine(KEY.encode(), headers, b"") for headers in (first, second))


def test_without_a_key_a_function_cannot_pass_for_signed(stage: QueueStage) -> None:
    forged = [("X-Callback-Signature", "sha256=0"), ("X-Callback-Timestamp", "1")]
    with RecordingServer(lambda request: (200, forged, b"")) as function, RecordingServer() as receiver:
        publish(stage.redis, {"echo": function.address})
        stage.submit(invocation("a", callback_url=receiver.url))
        stage.told("a", "delivered")
    (told,) = receiver.received
    assert (told.header("X-Callback-Signature"), told.header("X-Callback-Timestamp")) == (None, None)
