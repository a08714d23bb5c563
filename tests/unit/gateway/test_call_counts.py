"""Adding up how often functions were called."""

from __future__ import annotations

from gateway.call_counts import _added


def test_a_damaged_count_is_none_and_the_others_stand() -> None:
    calls = {b"echo": b"3", b"odd": b"abc"}
    totals = {b"started:echo:echo": b"4", b"started:odd:odd": b"", b"succeeded:echo:echo": b"4"}
    assert _added(calls, totals) == {"echo": 7, "odd": 0}
