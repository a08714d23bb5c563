"""Records the callbacks it gets and lists them.

POST stores one; GET lists them as JSON, oldest first; DELETE forgets all. `?call_id=…` picks the callbacks of one call
and of those it started, `?since=…` those after an earlier answer's `next`; `?count=1` answers with their number only.

The record is one file in the folder `notify_dir`, a JSON object a line, shared by every worker process. It is there
before the callback is answered. Replicas on several machines would each keep a record of their own: run one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

PREVIEW = 2000
"""Characters of a body that are kept; `size` and `sha256` are of all of it."""


def handle(event: Any, context: Any) -> dict[str, Any]:
    """One request to the record."""
    if event.method == "POST":
        entry = _entry(event.headers, event.body)
        _append(entry)
        return _json(200, {"recorded": entry["call_id"]})
    if event.method in ("GET", "HEAD"):
        return _listed(event.query)
    if event.method == "DELETE":
        with _record(fcntl.LOCK_EX) as file:
            file.truncate(0)
        return _json(200, {"count": 0})
    return _json(405, {"error": f"notify: expected GET, POST or DELETE, got {event.method}"})


def _entry(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """What is kept of one callback. A header that the sender left out is null."""
    return {
        "call_id": headers.get("X-Call-Id"),
        "parent_call_id": headers.get("X-Parent-Call-Id"),
        "function_name": headers.get("X-Function-Name"),
        "function_status": _number(headers.get("X-Function-Status"), int),
        "duration_seconds": _number(headers.get("X-Duration-Seconds"), float),
        "content_type": headers.get("Content-Type"),
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "text": _preview(body),
        "received_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def _number(text: str | None, kind: type[int] | type[float]) -> float | None:
    try:
        return kind(text) if text else None
    except ValueError:
        return None


def _preview(body: bytes) -> str | None:
    """The beginning of a text; None for binary data."""
    # A character has at most four bytes: cutting first keeps the work small for a body of many megabytes.
    start = body[: PREVIEW * 4]
    try:
        return start.decode()[:PREVIEW]
    except UnicodeDecodeError as exc:
        cut_in_a_character = len(start) < len(body) and exc.start > len(start) - 4
        return start[: exc.start].decode()[:PREVIEW] if cut_in_a_character else None


def _append(entry: Mapping[str, Any]) -> None:
    line = json.dumps(entry).encode() + b"\n"
    with _record(fcntl.LOCK_EX) as file:
        end = file.seek(0, os.SEEK_END)
        if file.write(line) != len(line):
            # Half a line, from a disk that is full, would spoil the next one.
            file.truncate(end)
            raise OSError("notify: the disk is full")


def _listed(query: Mapping[str, str]) -> dict[str, Any]:
    with _record(fcntl.LOCK_SH) as file:
        try:
            start = _start(file, query.get("since") or "0")
        except ValueError as exc:
            return _json(400, {"error": f"notify: since: {exc}"})
        file.seek(start)
        lines = file.read()
    call_id, position = query.get("call_id"), start + len(lines)
    if call_id is None and query.get("count"):
        return _json(200, {"count": lines.count(b"\n"), "next": position})
    entries = [json.loads(line) for line in lines.splitlines()]
    chosen = [entry for entry in entries if call_id in (None, entry["call_id"], entry["parent_call_id"])]
    counted = {"count": len(chosen), "next": position}
    return _json(200, counted if query.get("count") else {**counted, "callbacks": chosen})


def _start(file: FileIO, since: str) -> int:
    """Where to read on. A place beyond the end is from before the record was emptied: all there is now is new."""
    if not since.isdecimal():
        raise ValueError(f"expected the `next` of an earlier answer, got {since!r:.40}")
    if int(since) > file.seek(0, os.SEEK_END):
        return 0
    file.seek(max(0, int(since) - 1))
    if int(since) and file.read(1) != b"\n":
        raise ValueError(f"{since} is not the `next` of an earlier answer")
    return int(since)


@contextmanager
def _record(lock: int) -> Iterator[FileIO]:
    """The record, open for appending and reading, and locked against the other workers."""
    folder = Path(os.environ.get("notify_dir") or Path(tempfile.gettempdir()) / "swarmfn-notify")  # noqa: SIM112
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(folder / "callbacks.ndjson", "a+b", buffering=0) as file:
        # Closing the file lets go of the lock, also when this process is killed.
        fcntl.flock(file, lock)
        yield file


def _json(status: int, document: Mapping[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(document, indent=1) + "\n"}
