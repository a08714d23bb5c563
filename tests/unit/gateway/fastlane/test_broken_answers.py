"""Answers that cannot be brought to their end: they break off, and nothing else gets into them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.fastlane.app import FastLane
from gateway.fastlane.exchange import Exchange
from gateway.invoke.body_budget import BodyBudget
from gateway.invoke.incoming import RawHeaders
from swarmfn.upstream import Broken
from swarmfn.wire.errors import NoReplicas
from tests.support.fast_lane import all_of, talk

GET = b"GET /function/echo HTTP/1.1\r\nHost: x\r\n\r\n"
LENGTH: RawHeaders = [(b"Content-Length", b"1000")]
TWO_WAYS = pytest.mark.parametrize("headers", [LENGTH, []], ids=["with a length", "in chunks"])


class Outcome:
    """A function's answer that breaks off with `failure` after its first piece."""

    status = 200

    def __init__(self, headers: RawHeaders, failure: Exception) -> None:
        self.headers = headers
        self.is_closed = False
        self._failure = failure

    def complete_body(self) -> None:
        return None

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"the beginning"
        raise self._failure

    def close(self) -> None:
        self.is_closed = True


def lane(outcome: Outcome | Exception) -> FastLane:
    async def call(*_: object) -> Outcome:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def otherwise(exchange: Exchange) -> None:
        raise AssertionError

    synchronous: Any = SimpleNamespace(call=call)
    no_queue: Any = None
    return FastLane(synchronous, no_queue, no_queue, otherwise, lambda: True, BodyBudget(1 << 20))


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(GET)
    return await all_of(reader)


def assert_broken_off(received: bytes, headers: RawHeaders) -> None:
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == (b"the beginning" if headers else b"d\r\nthe beginning\r\n")


@TWO_WAYS
@pytest.mark.parametrize(
    "failure", [Broken("127.0.0.1:1", "it ended"), NoReplicas("there is none."), RuntimeError("a surprise")], ids=repr
)
def test_an_error_in_the_middle_of_an_answer_breaks_it_off_and_is_not_written_into_it(
    headers: RawHeaders, failure: Exception
) -> None:
    outcome = Outcome(headers, failure)
    assert_broken_off(talk(lane(outcome), ask), headers)
    assert outcome.is_closed


@pytest.mark.parametrize(
    ("failure", "status"), [(NoReplicas("there is none."), 503), (RuntimeError("a surprise"), 500)]
)
def test_an_error_before_the_answer_is_the_answer(failure: Exception, status: int) -> None:
    async def ask_and_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        return await all_of(reader)

    assert talk(lane(failure), ask_and_end).startswith(b"HTTP/1.1 %d " % status)


@TWO_WAYS
def test_an_app_that_fails_in_the_middle_breaks_its_answer_off(headers: RawHeaders) -> None:
    async def app(exchange: Exchange) -> None:
        await exchange.begin(200, list(headers))
        await exchange.write(b"the beginning")
        raise RuntimeError("a surprise")

    assert_broken_off(talk(app, ask), headers)


@TWO_WAYS
def test_an_app_that_ends_too_early_breaks_its_answer_off(headers: RawHeaders) -> None:
    async def app(exchange: Exchange) -> None:
        await exchange.begin(200, list(headers))
        await exchange.write(b"the beginning")

    assert_broken_off(talk(app, ask), headers)


@TWO_WAYS
@pytest.mark.parametrize("has_begun", [True, False])
def test_a_request_that_goes_wrong_is_refused_only_while_its_answer_has_not_begun(
    headers: RawHeaders, has_begun: bool
) -> None:
    async def app(exchange: Exchange) -> None:
        if has_begun:
            await exchange.begin(200, list(headers))
            await exchange.write(b"the beginning")
        async for _ in exchange.pieces():
            pass

    async def spoil(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"POST /function/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        received = await reader.readuntil(b"the beginning") if has_begun else b""
        writer.write(b"no chunk\r\n")
        return received + await all_of(reader)

    received = talk(app, spoil)
    if has_begun:
        assert_broken_off(received, headers)
    else:
        assert received.startswith(b"HTTP/1.1 400 ")


def test_the_log_says_a_surprise_in_the_middle_of_an_answer_cut_it_off(caplog: pytest.LogCaptureFixture) -> None:
    talk(lane(Outcome([], RuntimeError("a surprise"))), ask)
    (record,) = caplog.records
    assert record.getMessage() == "a call failed unexpectedly; its answer was cut off"
