"""What a record shows of a call."""

from __future__ import annotations

from dataclasses import replace

from gateway.invoke.asynchronous import describe, result_headers
from swarmfn.jobs.records import Record
from swarmfn.wire.invocations import StoredResponse

RECORD = Record(
    call_id="one",
    function="echo",
    queue="shared",
    state="queued",
    created_at="2026-01-31T12:00:00.000000Z",
    started_at="",
    ended_at="",
    attempts=(),
    platform_failures=0,
    interruptions=0,
    callback_url="",
    callback_state="",
    delivery_id="",
    response=None,
    has_large_answer=False,
)


def test_what_has_not_happened_is_left_out() -> None:
    document = describe(RECORD)
    assert set(document) == {
        "callId", "function", "queue", "state", "createdAt", "attempts", "platformFailures", "interruptions"
    }  # fmt: skip


def test_a_callbacks_address_is_shown_without_its_query() -> None:
    document = describe(replace(RECORD, callback_url="https://x.example/hook?token=1#f", callback_state="delivered"))
    assert document["callback"] == {"url": "https://x.example/hook", "state": "delivered"}


def test_a_result_keeps_no_credentials_and_no_framing() -> None:
    kept = [
        ("SET-COOKIE", "a"),
        ("content-LENGTH", "1"),
        ("Transfer-Encoding", "chunked"),
        ("X-Function-Name", "other"),
    ]
    record = replace(RECORD, response=StoredResponse(200, [*kept, ("X-Own", "1")], 0))
    assert result_headers(record) == [
        ("X-Own", "1"),
        ("X-Call-Id", "one"),
        ("X-Function-Name", "echo"),
        ("Content-Disposition", "attachment"),
        ("Content-Security-Policy", "sandbox"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
    ]
