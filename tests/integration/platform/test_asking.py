"""What a caller may ask for, on the product as `up` starts it."""

from __future__ import annotations

import hmac
import time

import requests

from tests.support.http import RecordingServer
from tests.support.platform import Platform
from tests.support.waiting import wait_until


def test_a_callback_is_signed_with_the_key_that_up_has_made(platform: Platform) -> None:
    key = (platform.state / "secrets" / "callback-signing-key").read_bytes().strip()
    assert len(key) >= 32
    with RecordingServer() as receiver:
        platform.send("wordcount", b"one two", callback=receiver.url)
        wait_until(lambda: receiver.received, message="the callback arrives")
    (told,) = receiver.received
    timestamp = told.header("X-Callback-Timestamp") or ""
    expected = hmac.new(key, timestamp.encode() + b"." + told.body, "sha256").hexdigest()
    assert told.header("X-Callback-Signature") == f"sha256={expected}"
    assert abs(time.time() - int(timestamp)) < 120


def test_a_call_with_everything_asked_for_runs_once_and_when_it_is_due(platform: Platform) -> None:
    headers = {
        "Idempotency-Key": f"everything-{time.time_ns()}",
        "X-Delay": "1500ms",
        "X-Priority": "high",
        "X-Max-Age": "1h",
    }
    url = f"{platform.url}/async-function/wordcount"
    answers = [requests.post(url, data=b"one two", headers=headers, timeout=60) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202] * 3
    (call_id,) = {answer.headers["X-Call-Id"] for answer in answers}
    assert [answer.headers.get("X-Idempotent-Replay") for answer in answers] == [None, "true", "true"]
    seen = platform.status(call_id)
    assert (seen["state"], seen["priority"]) in {("scheduled", "high"), ("running", "high"), ("succeeded", "high")}
    wait_until(lambda: platform.status(call_id)["state"] == "succeeded", message="it has run")
    ended = platform.status(call_id)
    assert len(ended["attempts"]) == 1
    assert ended["startedAt"] > ended["createdAt"]
