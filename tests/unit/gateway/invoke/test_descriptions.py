"""What a record shows of a call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.invoke.accepted_calls import result_headers
from gateway.invoke.descriptions import describe, full
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


@pytest.mark.parametrize("rest", ["", "/", "/services/T0/B0/secret", "?token=1", "#f", "/hook?token=1#f"])
def test_of_a_callbacks_url_anybody_sees_where_it_goes_and_those_with_credentials_all_of_it(rest: str) -> None:
    record = replace(RECORD, callback_url=f"https://x.example:444{rest}", callback_state="delivered")
    assert describe(record)["callback"] == {"url": "https://x.example:444", "state": "delivered"}
    assert full(record, {}, 0)["callback"] == {"url": f"https://x.example:444{rest}", "state": "delivered"}


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
