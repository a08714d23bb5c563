"""Callback URLs under a guard, by what their names resolve to."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest

from gateway.invoke import callback_checks as module
from gateway.invoke.callback_checks import CallbackChecks
from swarmfn.upstream import Names
from swarmfn.wire.callback_guard import OFF, PRIVATE, parse_guard
from swarmfn.wire.errors import InvalidRequest

ADDRESSES = {
    "public.example": ("93.184.216.34",),
    "inside.example": ("10.0.0.1",),
    "both.example": ("10.0.0.1", "93.184.216.34"),
    "listed.example": ("10.0.0.1",),
    "network.example": ("10.20.0.1",),
}


def lookup(host: str) -> Sequence[str]:
    if host not in ADDRESSES:
        raise OSError("no such name")
    return ADDRESSES[host]


def check(url: str, mode: str = PRIVATE) -> None:
    callbacks = CallbackChecks(parse_guard(mode, "listed.example, 10.20.0.0/16"), Names(lookup))
    callbacks.check(url)
    asyncio.run(callbacks.check_addresses(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://public.example/x",
        "https://both.example/",
        "http://listed.example/",
        "http://network.example:8080/",
        "http://10.20.1.1/",
        "http://93.184.216.34/",
        "http://[2606:4700:4700::1111]/",
        "http://gateway:8080/function/notify",
        "http://not-there-yet.example/",
    ],
)
def test_what_may_be_sent_to_passes(url: str) -> None:
    check(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://inside.example/",
        "http://INSIDE.example/",
        "http://10.0.0.1/",
        "http://127.0.0.1:6379/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://169.254.169.254/latest/meta-data",
    ],
)
def test_what_may_not_is_refused_and_named(url: str) -> None:
    with pytest.raises(InvalidRequest, match=r"X-Callback-Url.*callback_guard"):
        check(url)
    check(url, OFF)


@pytest.mark.parametrize("mode", [OFF, PRIVATE])
@pytest.mark.parametrize(
    "url",
    [
        "http://gateway:8080",
        "http://gateway:8080/",
        "http://gateway:8080/system/functions",
        "http://GATEWAY:8080/ui/rq/requeue/a",
        "http://gateway.:8080/system/functions",
        "http://gateway:8080/functions/echo",
        "http://gateway:8080/%66unction/echo",
        "http://gateway:8080//function/echo",
    ],
)
def test_of_the_platforms_own_gateway_functions_are_reached_and_nothing_else(url: str, mode: str) -> None:
    with pytest.raises(InvalidRequest, match="can only call functions"):
        check(url, mode)


def test_a_name_server_that_hangs_holds_up_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOKUP_TIMEOUT", 0.05)

    def hang(host: str) -> Sequence[str]:
        time.sleep(2)
        return ("10.0.0.1",)

    callbacks = CallbackChecks(parse_guard(PRIVATE, ""), Names(hang))
    asyncio.run(callbacks.check_addresses("http://slow.example/"))


def test_names_that_hang_keep_no_other_call_waiting() -> None:
    may_end = threading.Event()

    def hang(host: str) -> Sequence[str]:
        may_end.wait(60)
        return ("10.0.0.1",)

    async def scenario() -> None:
        callbacks = CallbackChecks(parse_guard(PRIVATE, ""), Names(hang, at_once=3, patience=60.0))
        hanging = [
            asyncio.create_task(callbacks.check_addresses(f"http://hangs{number}.example/")) for number in range(3)
        ]
        await asyncio.sleep(0)
        others = [
            asyncio.create_task(callbacks.check_addresses(f"http://other{number}.example/")) for number in range(100)
        ]
        await asyncio.gather(*others)
        assert not any(task.done() for task in hanging)
        may_end.set()
        for task in hanging:
            with pytest.raises(InvalidRequest):
                await task

    asyncio.run(scenario())
