"""Names, constants and formats of the job layout."""

from __future__ import annotations

import pickle
import zlib
from base64 import b64decode
from datetime import UTC, datetime

import pytest
from rq.utils import utcformat, utcparse

from swarmfn.jobs import layout


def test_our_data_is_what_rq_reads_as_a_plain_function_call() -> None:
    assert pickle.loads(layout.JOB_DATA) == (layout.RQ_FUNCTION, None, (), {})


def test_our_data_is_known_plain_and_as_rq_saves_it_again() -> None:
    assert layout.is_our_data(layout.JOB_DATA)
    assert layout.is_our_data(zlib.compress(layout.JOB_DATA))


@pytest.mark.parametrize("data", [b"", b"x", layout.JOB_DATA + b".", zlib.compress(b"other"), b"\0" * 1_000_000])
def test_anything_else_is_not_our_data(data: bytes) -> None:
    assert not layout.is_our_data(data)


@pytest.mark.parametrize("seconds", [0.0, 1.5, 1769860800.123456, 1769860799.999999])
def test_times_are_in_rqs_format(seconds: float) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    text = layout.rq_time(seconds)
    assert abs((utcparse(text) - moment).total_seconds()) < 0.000_002
    assert len(text) == len(utcformat(datetime(2026, 1, 1, tzinfo=UTC)))


def test_notes_are_stored_as_rq_reads_results_and_failures() -> None:
    assert pickle.loads(b64decode(layout.rq_return_value("echo answered 200"))) == "echo answered 200"
    assert zlib.decompress(b64decode(layout.rq_exc_string("echo answered 500"))) == b"echo answered 500"


def test_deliveries_to_a_receiver_stay_on_the_same_queue_in_every_version() -> None:
    """Another worker or gateway may be of an earlier version; a queue of its own per receiver was earlier still."""
    places = ["receiver:80", "10.0.0.5:8080", "[::1]:443"]
    assert [layout.callback_queue(place) for place in places] == ["callbacks:5", "callbacks:56", "callbacks:54"]
    assert layout.successor("callbacks:receiver:80") == layout.callback_queue("receiver:80")
    assert [layout.successor(queue) for queue in ("callbacks", "callbacks:7", "echo")] == [None] * 3
    assert [
        queue for queue in ("callbacks", "callbacks:7", "callbacksX", "echo") if layout.is_callback_queue(queue)
    ] == [
        "callbacks",
        "callbacks:7",
    ]
