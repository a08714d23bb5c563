"""Bodies that are much larger than what the watchdog may hold in memory, in both directions at once."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from tests.support.processes import free_port
from tests.support.watchdog import FUNCTIONS, Watchdog, receive_until

MIB = 1 << 20
MOST_MORE = 32 * MIB
"""What may be added to the memory of an idle watchdog."""


@pytest.fixture(params=[100, pytest.param(1024, marks=pytest.mark.long)], ids=["short", "1GiB"])
def size(request: pytest.FixtureRequest) -> int:
    return int(request.param) * MIB


@pytest.fixture(params=["streaming", "http"])
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """A function that sends back what it gets, while it gets it."""
    if request.param == "streaming":
        return {"mode": "streaming", "fprocess": "cat"}
    port = free_port()
    command = f"{sys.executable} {FUNCTIONS / 'server' / 'serve.py'} tool {port}"
    return {"mode": "http", "fprocess": command, "upstream_url": f"http://127.0.0.1:{port}"}


def test_large_body_goes_through_in_flat_memory(settings: dict[str, str], size: int, tmp_path: Path) -> None:
    with Watchdog(tmp_path / "log", {**settings, "exec_timeout": "10m"}) as watchdog, watchdog.connect() as raw:
        watchdog.request(b"x", "/through")
        idle = peak = watchdog.memory()

        def send() -> None:
            raw.sendall(b"POST /through HTTP/1.1\r\nHost: f\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size)
            for number in range(size // MIB):
                raw.sendall(b"%c" % (number % 256) * MIB)

        sender = threading.Thread(target=send)
        sender.start()
        assert receive_until(raw, b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        received, numbers = 0, set()
        while data := raw.recv(MIB):
            received += len(data)
            numbers.add(data[len(data) // 2])
            peak = max(peak, watchdog.memory())
        sender.join()
    assert received >= size
    assert len(numbers) >= min(256, size // MIB) // 2
    assert peak - idle < MOST_MORE
