"""The notify example: every callback is in the record once, also when several write at the same time."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import multiprocessing
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from swarmfn.wire.headers import CALL_ID, DURATION, FUNCTION_NAME, FUNCTION_STATUS, PARENT_CALL_ID

CALLBACK = {
    CALL_ID: "7",
    FUNCTION_NAME: "wordcount",
    FUNCTION_STATUS: "200",
    DURATION: "0.003120",
    "Content-Type": "text/plain",
}


@pytest.fixture(autouse=True)
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this test's record, not made yet."""
    monkeypatch.setenv("notify_dir", str(tmp_path / "deep" / "record"))
    return tmp_path / "deep" / "record"


def call(
    notify: ModuleType, method: str, body: bytes = b"", headers: dict[str, str] | None = None, **query: str
) -> tuple[int, Any]:
    event = SimpleNamespace(method=method, body=body, headers=headers or {}, query=query, path="/")
    answer = notify.handle(event, None)
    assert answer["headers"]["Content-Type"] == "application/json"
    return answer["statusCode"], json.loads(answer["body"])


def post(notify: ModuleType, call_id: str, body: bytes = b"") -> None:
    assert call(notify, "POST", body, {**CALLBACK, CALL_ID: call_id}) == (200, {"recorded": call_id})


def test_a_callback_is_listed_with_everything_it_said(notify: ModuleType) -> None:
    body = b"  3  4  5\n"
    assert call(notify, "POST", body, CALLBACK) == (200, {"recorded": "7"})
    status, listed = call(notify, "GET")
    entry = listed["callbacks"][0]
    assert (status, listed["count"]) == (200, 1)
    assert entry.pop("received_at").endswith("Z")
    assert entry == {
        "call_id": "7",
        "parent_call_id": None,
        "function_name": "wordcount",
        "function_status": 200,
        "duration_seconds": 0.00312,
        "content_type": "text/plain",
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "text": "  3  4  5\n",
    }


def test_an_empty_record_lists_nothing(notify: ModuleType) -> None:
    assert call(notify, "GET") == (200, {"count": 0, "next": 0, "callbacks": []})
    assert call(notify, "GET", count="1") == (200, {"count": 0, "next": 0})


def test_headers_that_are_missing_or_odd_are_null(notify: ModuleType) -> None:
    call(notify, "POST", b"x", {FUNCTION_STATUS: "fine", DURATION: "long"})
    entry = call(notify, "GET")[1]["callbacks"][0]
    assert [entry[key] for key in ("call_id", "function_name", "function_status", "duration_seconds")] == [None] * 4


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", ""),
        ("süß\n".encode(), "süß\n"),
        (b"\xff\xd8\xff\xe0", None),
        (b"x" * 5000, "x" * 2000),
        ("€".encode() * 5000, "€" * 2000),
        (b"x" + "😀".encode() * 3000, "x" + "😀" * 1999),
        (b"x" * 100 + b"\xff" + b"y" * 20_000, None),
        (b"two\nlines\r\n", "two\nlines\r\n"),
    ],
)
def test_a_text_is_previewed_and_binary_data_is_not(notify: ModuleType, body: bytes, text: str | None) -> None:
    post(notify, "7", body)
    entry = call(notify, "GET")[1]["callbacks"][0]
    assert entry["text"] == text
    assert entry["size"] == len(body)
    assert entry["sha256"] == hashlib.sha256(body).hexdigest()


def test_the_callbacks_of_one_call_can_be_picked_and_counted(notify: ModuleType) -> None:
    for call_id in ("a", "b", "a"):
        post(notify, call_id)
    status, listed = call(notify, "GET", call_id="a")
    assert (status, listed["count"], [entry["call_id"] for entry in listed["callbacks"]]) == (200, 2, ["a", "a"])
    assert call(notify, "GET", call_id="b", count="1")[1]["count"] == 1
    assert call(notify, "GET", call_id="c")[1]["callbacks"] == []
    assert call(notify, "GET", count="1")[1]["count"] == 3


def test_a_call_is_also_found_by_the_id_of_the_call_that_started_it(notify: ModuleType) -> None:
    call(notify, "POST", b"", {CALL_ID: "child", PARENT_CALL_ID: "parent"})
    listed = call(notify, "GET", call_id="parent")[1]
    assert [entry["call_id"] for entry in listed["callbacks"]] == ["child"]
    assert call(notify, "GET", call_id="child", count="1")[1]["count"] == 1


def test_reading_on_from_an_earlier_answer_shows_only_what_came_since(notify: ModuleType) -> None:
    post(notify, "a")
    after_a = call(notify, "GET")[1]["next"]
    assert call(notify, "GET", since=str(after_a))[1] == {"count": 0, "next": after_a, "callbacks": []}
    post(notify, "b")
    listed = call(notify, "GET", since=str(after_a))[1]
    assert [entry["call_id"] for entry in listed["callbacks"]] == ["b"]
    assert call(notify, "GET", since=str(after_a), count="1")[1] == {"count": 1, "next": listed["next"]}


def test_a_record_emptied_in_between_is_read_from_its_beginning(notify: ModuleType) -> None:
    post(notify, "a", b"a long body" * 100)
    position = call(notify, "GET")[1]["next"]
    assert call(notify, "DELETE") == (200, {"count": 0})
    post(notify, "b")
    assert [entry["call_id"] for entry in call(notify, "GET", since=str(position))[1]["callbacks"]] == ["b"]


@pytest.mark.parametrize("since", ["soon", "-1", "1", "1.5", "9" * 30 + "x"])
def test_a_since_that_no_answer_gave_is_refused(notify: ModuleType, since: str) -> None:
    post(notify, "a")
    status, answer = call(notify, "GET", since=since)
    assert status == 400
    assert answer["error"].startswith("notify: since: ")


def test_other_methods_are_refused(notify: ModuleType) -> None:
    assert call(notify, "PUT")[0] == 405


def test_without_a_folder_of_its_own_the_record_is_in_the_temporary_folder(
    notify: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("notify_dir")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    post(notify, "a")
    assert (tmp_path / "swarmfn-notify" / "callbacks.ndjson").exists()


def write_many(handler: str, writer: int, times: int) -> None:
    """One worker process of several, with its own import of the handler, as in the watchdog."""
    spec = importlib.util.spec_from_file_location("handler", handler)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for number in range(times):
        headers = {CALL_ID: f"{writer}-{number}"}
        event = SimpleNamespace(method="POST", body=b"x" * 3000, headers=headers, query={}, path="/")
        assert module.handle(event, None)["statusCode"] == 200


def test_concurrent_workers_lose_and_repeat_nothing(notify: ModuleType) -> None:
    writers, times = 4, 500
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=write_many, args=(str(notify.__file__), writer, times)) for writer in range(writers)
    ]
    for process in processes:
        process.start()
    seen: list[str] = []
    position = 0
    while any(process.is_alive() for process in processes):
        listed = call(notify, "GET", since=str(position))[1]
        position = listed["next"]
        seen += [entry["call_id"] for entry in listed["callbacks"]]
    seen += [entry["call_id"] for entry in call(notify, "GET", since=str(position))[1]["callbacks"]]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * writers
    assert sorted(seen) == sorted(f"{writer}-{number}" for writer in range(writers) for number in range(times))
    assert call(notify, "GET", count="1")[1]["count"] == writers * times
