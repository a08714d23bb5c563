"""From threads to the loop: results, errors, clients that leave at any moment."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.api.bridge import Bridge, CallerGone
from tests.support.waiting import wait_until


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def bridge(loop: asyncio.AbstractEventLoop) -> Bridge:
    return Bridge(loop)


def stays() -> bool:
    return False


def leaves() -> bool:
    return True


def test_the_coroutines_result_comes_back(bridge: Bridge) -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    assert bridge.run(work(), stays) == "done"


@pytest.mark.parametrize("error", [ValueError("mine"), TimeoutError("mine"), KeyError("mine")])
def test_the_coroutines_error_comes_back(bridge: Bridge, error: Exception) -> None:
    async def work() -> None:
        raise error

    with pytest.raises(type(error), match="mine"):
        bridge.run(work(), stays)


def test_when_the_client_leaves_the_coroutine_is_cancelled(bridge: Bridge) -> None:
    cancelled = threading.Event()

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()

    with pytest.raises(CallerGone):
        bridge.run(work(), leaves)
    assert cancelled.wait(20)


def test_a_result_that_comes_as_the_client_leaves_is_discarded_and_not_lost(
    bridge: Bridge, loop: asyncio.AbstractEventLoop
) -> None:
    discarded: list[str] = []
    has_result = threading.Event()

    async def work() -> str:
        await asyncio.get_running_loop().run_in_executor(None, looked.wait)
        return "a connection"

    looked = threading.Event()

    def leaves_as_it_comes() -> bool:
        # The coroutine ends while it is being found out that the client has left.
        looked.set()
        wait_until(lambda: any_result(loop, has_result))
        return True

    with pytest.raises(CallerGone):
        bridge.run(work(), leaves_as_it_comes, discarded.append)
    wait_until(lambda: discarded == ["a connection"])


def any_result(loop: asyncio.AbstractEventLoop, has_result: threading.Event) -> bool:
    loop.call_soon_threadsafe(lambda: has_result.set() if len(asyncio.all_tasks(loop)) == 0 else None)
    return has_result.wait(0.05)


def test_pieces_come_back_in_order_until_the_end(bridge: Bridge) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(3):
            await asyncio.sleep(0)
            yield b"%d" % number

    assert list(bridge.iterate(pieces(), stays)) == [b"0", b"1", b"2"]


def test_when_the_client_leaves_between_pieces_the_iterator_ends(bridge: Bridge) -> None:
    ended = threading.Event()

    async def pieces() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    iterator = bridge.iterate(pieces(), leaves)
    assert next(iterator) == b"first"
    with pytest.raises(CallerGone):
        next(iterator)
    assert ended.wait(20)
