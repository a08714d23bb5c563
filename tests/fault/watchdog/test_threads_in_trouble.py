"""Several calls in each process: what one does to its process may cost the others there, and nothing else is lost."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.processes import is_running
from tests.support.waiting import wait_until
from tests.support.watchdog import Watchdog

WORKERS, THREADS, CALLERS = 2, 4, 12
SOURCE = """
import signal, time

def handle(event, context):
    how, _, number = event.body.decode().partition(" ")
    if how == "crash":
        signal.raise_signal(signal.SIGSEGV)
    if how == "hang":
        time.sleep(600)
    if how == "stream":
        return (f"{part} " for part in (number, number))
    if how == "raise":
        raise ValueError(number)
    print("said", number)
    return number
"""
RAISED = b"The function failed: ValueError. Its log has the details.\n"
ACTIONS = {"echo": 60, "stream": 15, "raise": 10, "gone": 5, "hang": 4, "crash": 4}


def one(watchdog: Watchdog, action: str, number: int) -> str | None:
    """What is wrong with the answer to one call, if anything is."""
    body = f"{'hang' if action == 'gone' else action} {number}".encode()
    if action == "gone":
        with watchdog.connect() as raw:
            raw.sendall(b"POST / HTTP/1.1\r\nHost: f\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            raw.settimeout(number % 30 / 100 + 0.001)
            with contextlib.suppress(TimeoutError):
                raw.recv(1000)
        return None
    try:
        answer = watchdog.request(body, headers={"X-Timeout": "600ms"} if action == "hang" else None)
    except (OSError, http.client.HTTPException) as exc:
        # Only a response that has begun may break off.
        return None if action == "stream" else f"{action}: {exc!r}"
    if answer.status == 500 and answer.body.startswith(b"The function's process ended before it answered ("):
        return None
    text = b"%d" % number
    expected = {"echo": (200, text), "stream": (200, b"%d %d " % (number, number)), "raise": (500, RAISED)}
    expected |= {"hang": (408, b"Killed process.\n")}
    return None if (answer.status, answer.body) == expected.get(action) else f"{action}: {answer}"


@pytest.mark.parametrize("calls", [300, pytest.param(5_000, marks=pytest.mark.long)], ids=["short", "long"])
def test_every_caller_gets_an_answer_and_nothing_is_left(tmp_path: Path, calls: int, seed: int) -> None:
    (tmp_path / "handler.py").write_text(SOURCE)
    settings = {"handler_path": str(tmp_path), "workers": str(WORKERS), "threads": str(THREADS)}
    with Watchdog(tmp_path / "log", {**settings, "exec_timeout": "120s"}) as watchdog:
        wait_until(lambda: len(watchdog.children()) == WORKERS, message="all worker processes are there")
        before = descriptors(watchdog)
        chance = random.Random(seed)
        actions = chance.choices(list(ACTIONS), list(ACTIONS.values()), k=calls)
        with ThreadPoolExecutor(CALLERS) as pool:
            wrong = list(filter(None, pool.map(lambda item: one(watchdog, item[1], item[0]), enumerate(actions))))
        assert wrong == []
        wait_until(lambda: [is_running(int(pid)) for pid in watchdog.children()] == [True] * WORKERS)
        wait_until(lambda: descriptors(watchdog) <= before, message="no descriptor is left")
        # Every place for a call works: as many at once as there are.
        with ThreadPoolExecutor(WORKERS * THREADS) as pool:
            assert not any(pool.map(lambda number: one(watchdog, "echo", number), range(WORKERS * THREADS * 5)))


def descriptors(watchdog: Watchdog) -> int:
    return len(os.listdir(f"/proc/{watchdog.process.pid}/fd"))
