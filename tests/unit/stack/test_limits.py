"""The limits as `status` shows them."""

from __future__ import annotations

from stack.limits import limit_of
from stack.status import limits_table


def test_each_limit_is_a_row_with_what_there_is_now() -> None:
    rows = [
        {"setting": "queue_max_memory", "unit": "bytes", "limit": 300 * 2**20, "now": 12 * 2**20},
        {"setting": "queue_max_depth", "unit": "calls", "limit": 0, "now": 3, "queue": "echo"},
        {"setting": "async_max_put_off", "unit": "calls", "limit": 100_000, "now": None},
    ]
    (text,) = limits_table([limit_of(row) for row in rows])
    assert text.splitlines() == [
        "LIMIT               NOW        AT MOST",
        "queue_max_memory    12 MiB     300 MiB",
        "queue_max_depth     3 (echo)   no limit",
        "async_max_put_off   ?          100000",
    ]
    assert limits_table([]) == []
