"""The notify example behind its watchdog: several worker processes, one record."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

Call = Callable[..., Any]


def test_callbacks_that_arrive_together_are_recorded_once_each(call: Call) -> None:
    assert call("notify", method="DELETE").status == 200
    call_ids = [f"call-{number}" for number in range(400)]

    def post(call_id: str) -> int:
        status: int = call("notify", b"x" * 500, headers={"X-Call-Id": call_id}).status
        return status

    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(post, call_ids)) == {200}
    assert json.loads(call("notify", method="GET", target="/?count=1").body)["count"] == len(call_ids)
    listed = json.loads(call("notify", method="GET").body)["callbacks"]
    assert sorted(entry["call_id"] for entry in listed) == sorted(call_ids)


def test_one_calls_callbacks_are_found_by_its_id_or_its_childs(call: Call) -> None:
    call(
        "notify", b"hello", headers={"x-call-id": "child-1", "x-parent-call-id": "parent-1", "x-function-status": "200"}
    )
    for call_id in ("child-1", "parent-1"):
        listed = json.loads(call("notify", method="GET", target=f"/?call_id={call_id}").body)
        assert [(entry["text"], entry["function_status"]) for entry in listed["callbacks"]] == [("hello", 200)]


def test_the_record_is_in_the_functions_own_temporary_folder(call: Call, state_dir: Path) -> None:
    call("notify", b"x")
    assert (state_dir / "functions" / "notify" / "tmp" / "swarmfn-notify" / "callbacks.ndjson").exists()


def test_other_methods_are_refused(call: Call) -> None:
    assert call("notify", method="PATCH").status == 405
