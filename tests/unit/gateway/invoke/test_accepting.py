"""Accepting a call: it is stored, or the client is told that it is not."""

from __future__ import annotations

import asyncio

import pytest

from gateway.invoke.asynchronous import Asynchronous, CheckedCall
from gateway.invoke.call_options import NO_OPTIONS
from gateway.invoke.incoming import Incoming
from swarmfn.jobs.terms import Terms
from swarmfn.jobs.uploads import Upload
from swarmfn.wire.errors import QueueUnavailable
from swarmfn.wire.invocations import Invocation
from swarmfn.wire.replicas import Route

ROUTE = Route("echo", ("127.0.0.1:1",), 1, 60.0, "echo")


class Refusing:
    """A queue that says of every id in `taken` tries that it is taken."""

    def __init__(self, taken: int) -> None:
        self.taken = taken
        self.offered: list[str] = []

    async def submit(self, invocation: Invocation, body: bytes | Upload, terms: Terms) -> bool:
        self.offered.append(invocation.call_id)
        return len(self.offered) > self.taken

    async def probe(self, invocation: Invocation, terms: Terms) -> bool:
        raise AssertionError

    def begin_upload(self, call_id: str) -> Upload:
        raise AssertionError


def accept(queue: Refusing) -> str:
    incoming = Incoming("POST", "echo", "", "", [(b"x-call-id", b"mine")], 0, "127.0.0.1")
    asynchronous = Asynchronous(lambda: {"echo": ROUTE}, queue, 1000)
    return asyncio.run(asynchronous.accept(incoming, CheckedCall(ROUTE, NO_OPTIONS), "mine", b"")).call_id


def test_a_free_id_is_kept() -> None:
    assert accept(Refusing(taken=0)) == "mine"


def test_a_taken_id_is_replaced() -> None:
    queue = Refusing(taken=1)
    assert accept(queue) == queue.offered[1] != "mine"


def test_a_queue_that_refuses_a_fresh_id_too_has_accepted_nothing() -> None:
    with pytest.raises(QueueUnavailable):
        accept(Refusing(taken=2))
