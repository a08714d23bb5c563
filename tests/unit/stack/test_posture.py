"""What the gateway says of itself, as `status` shows it."""

from __future__ import annotations

from stack.gateway_client import LimitDocument
from stack.posture import Posture, limit_of


def test_each_limit_is_a_row_with_what_there_is_now() -> None:
    rows: list[LimitDocument] = [
        {"setting": "queue_max_memory", "unit": "bytes", "limit": 300 * 2**20, "now": 12 * 2**20},
        {"setting": "queue_max_depth", "unit": "calls", "limit": 0, "now": 3, "queue": "echo"},
        {"setting": "async_max_put_off", "unit": "calls", "limit": 100_000, "now": None},
    ]
    (text,) = Posture([limit_of(row) for row in rows]).parts()
    assert text.splitlines() == [
        "LIMIT               NOW        AT MOST",
        "queue_max_memory    12 MiB     300 MiB",
        "queue_max_depth     3 (echo)   no limit",
        "async_max_put_off   ?          100000",
    ]
    assert Posture().parts() == []


def test_each_warning_is_a_line() -> None:
    assert Posture((), ["a door is open", "another"]).parts() == ["warning: a door is open\nwarning: another"]
