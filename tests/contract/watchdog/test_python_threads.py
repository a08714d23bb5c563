"""`threads` above 1: several calls in one worker process at once."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.processes import is_running
from tests.support.waiting import wait_until
from tests.support.watchdog import FUNCTIONS, Answer, Watchdog

Start = Callable[..., Watchdog]


@pytest.fixture
def threaded(start: Start) -> Callable[..., Watchdog]:
    return lambda **settings: start(handler_path=FUNCTIONS / "threaded", **settings)


def at_once(watchdog: Watchdog, *bodies: bytes) -> list[Answer]:
    """The answers to calls that are made at the same time, in the order of the bodies."""
    answers: dict[int, Answer] = {}

    def call(number: int) -> None:
        answers[number] = watchdog.request(bodies[number], headers={"X-Call-Id": f"c-{number}"})

    threads = [threading.Thread(target=call, args=(number,)) for number in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[number] for number in range(len(bodies))]


def test_calls_run_in_one_process_at_once(threaded: Start) -> None:
    answers = at_once(threaded(threads=4), *[b"4 return"] * 4)
    assert [answer.status for answer in answers] == [200] * 4
    assert len({answer.body for answer in answers}) == 1


def test_each_line_in_the_log_has_its_call(threaded: Start) -> None:
    watchdog = threaded(threads=3)
    at_once(watchdog, *[b"3 return"] * 3)
    for number in range(3):
        for words in (f"says c-{number}", f"complains c-{number}", f"warns c-{number}"):
            assert re.search(rf"function: {words} .*call_id=c-{number}\]", watchdog.process.log())


def test_a_crash_costs_the_calls_in_its_process_and_no_other(threaded: Start) -> None:
    watchdog = threaded(threads=2)
    answers = at_once(watchdog, b"2 crash", b"2 stay")
    assert {answer.status for answer in answers} == {500}
    assert {answer.body for answer in answers} == {
        b"The function's process ended before it answered (exit status 3).\n"
    }
    assert watchdog.request(b"1 return").status == 200


def test_exec_timeout_holds_and_others_in_the_process_are_told(threaded: Start) -> None:
    watchdog = threaded(threads=2)
    with watchdog.connect() as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: f\r\nConnection: close\r\nContent-Length: 6\r\n\r\n1 stay")
        wait_until(lambda: "says" in watchdog.process.log())
        killed = watchdog.request(b"2 stay", headers={"X-Timeout": "300ms"})
        assert (killed.status, killed.body) == (408, b"Killed process.\n")
        other = raw.recv(65536)
    assert other.startswith(b"HTTP/1.1 500 ")
    assert b"(another call in it ran into its exec_timeout)" in other
    assert watchdog.request(b"1 return").status == 200


def test_a_caller_that_goes_leaves_the_others_alone(threaded: Start, tmp_path: Path) -> None:
    watchdog = threaded(threads=2)
    answers: list[Answer] = []
    with watchdog.connect() as leaving:
        leaving.sendall(b"POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 6\r\n\r\n1 stay")
        wait_until(lambda: "says" in watchdog.process.log())
        file = tmp_path / "go"
        staying = threading.Thread(target=lambda: answers.append(watchdog.request(f"2 {file}".encode())))
        staying.start()
        wait_until(lambda: watchdog.process.log().count("says") == 2)
    # The process of the two takes no new calls until the run that nobody waits for is over: another serves this one.
    elsewhere = int(watchdog.request(b"1 return").body)
    file.touch()
    staying.join()
    shared = int(answers[0].body)
    assert shared != elsewhere
    wait_until(lambda: not is_running(shared), message="the run that nobody waits for has ended with its process")


@pytest.mark.parametrize("threads", [1, 3])
def test_async_handlers_of_all_threads_share_one_event_loop(start: Start, tmp_path: Path, threads: int) -> None:
    source = """
import asyncio

barrier = None


async def handle(event, context):
    global barrier
    number = int(event.body)
    barrier = barrier or asyncio.Barrier(number)
    await barrier.wait()
    print("met")
    return "met"
"""
    (tmp_path / "handler.py").write_text(source)
    watchdog = start(handler_path=tmp_path, threads=threads)
    answers = at_once(watchdog, *[b"%d" % threads] * threads)
    assert [answer.body for answer in answers] == [b"met"] * threads
    for number in range(threads):
        assert re.search(rf"function: met .*call_id=c-{number}\]", watchdog.process.log())


def test_exit_handlers_run_at_a_drain(start: Start, tmp_path: Path) -> None:
    source = "import atexit\natexit.register(print, 'goodbye')\n\ndef handle(req):\n    return 'ok'\n"
    (tmp_path / "handler.py").write_text(source)
    watchdog = start(handler_path=tmp_path, threads=3)
    assert watchdog.request(b"").body == b"ok"
    assert watchdog.process.terminate() == 0
    assert "goodbye" in watchdog.process.log()
