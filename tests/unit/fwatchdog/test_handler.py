from __future__ import annotations

import contextlib
import functools
import socket
from typing import Any

import pytest

from fwatchdog.python_worker import frames
from fwatchdog.python_worker.coroutines import Coroutines
from fwatchdog.python_worker.handler import Handler
from fwatchdog.python_worker.lane import Call, Lane
from fwatchdog.python_worker.loading import HandlerError

HEAD = {"method": "POST", "target": "/p?x=1&x=2&y=", "headers": [["X-A", "1"], ["x-a", "2"]]}


def handler(handle: Any) -> Handler:
    return Handler(handle, Coroutines(has_threads=False), has_threads=False)


def argument_of(handle: Any, body: bytes) -> Any:
    """What `handle`, which returns its first argument, was called with; over a real lane."""
    seen: list[Any] = []

    @functools.wraps(handle)
    def note(*arguments: Any) -> None:
        seen.append(handle(*arguments))

    ours, theirs = socket.socketpair()
    lane = Lane(theirs.detach())
    with ours, contextlib.closing(lane):
        ours.sendall(frames.lead(frames.CALL, HEAD, len(body)) + body)
        handler(note).serve(Call(lane))
    return seen[0]


def _wrapped() -> Any:
    def handle(event: Any, context: Any) -> Any:
        return event

    @functools.wraps(handle)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return handle(*args, **kwargs)

    return wrapper


class _Callable:
    def __call__(self, event: Any, context: Any) -> Any:
        return event


@pytest.mark.parametrize(
    "handle",
    [
        lambda event, context: event,
        lambda event, context=None: event,
        lambda *arguments: arguments[0],
        lambda event, context, extra=1, **options: event,
        _wrapped(),
        _Callable(),
    ],
)
def test_two_parameters_mean_event_and_context(handle: Any) -> None:
    event = argument_of(handle, b"body")
    assert (event.body, event.method, event.path) == (b"body", "POST", "/p")
    assert event.headers["x-A"] == "1, 2"
    assert event.query["x"] == "1"
    assert event.query.get("nothing") is None


@pytest.mark.parametrize("handle", [lambda req: req, lambda req, **options: req, lambda req, *, option=1: req])
def test_one_parameter_means_the_body(handle: Any) -> None:
    assert argument_of(handle, "grün".encode()) == "grün"
    assert argument_of(handle, b"\xff") == b"\xff"


@pytest.mark.parametrize(
    "handle", [lambda: None, lambda a, b, c: None, lambda req, *, needed: None, lambda **options: None]
)
def test_other_signatures_are_refused(handle: Any) -> None:
    with pytest.raises(HandlerError, match="is neither"):
        handler(handle)


def test_event_may_be_changed_like_the_templates() -> None:
    def handle(event: Any, context: Any) -> Any:
        event.query = {"own": 1}
        event.user = "me"
        return event

    event = argument_of(handle, b"")
    assert (event.query, event.user, event.headers["x-a"]) == ({"own": 1}, "me", "1, 2")
