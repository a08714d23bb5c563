"""The port that an embedded Redis gets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from stack.embedded.ports import free_port, holder_of, is_free
from tests.support.waiting import wait_until


def test_it_is_free_and_none_that_a_connection_can_take_meanwhile() -> None:
    lowest_picked = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = {free_port() for _ in range(20)}
    assert all(10_000 <= port < lowest_picked and is_free("127.0.0.1", port) for port in ports)
    assert len(ports) > 10


def test_who_holds_a_port_is_named_on_one_line_whatever_its_command_line() -> None:
    port = free_port()
    listen = f"import socket\ns = socket.create_server(('127.0.0.1', {port}))\ninput()"
    with subprocess.Popen([sys.executable, "-c", listen], stdin=subprocess.PIPE) as holder:
        named = wait_until(lambda: holder_of(port), message="the port is held")
        holder.communicate(b"\n")
    assert named.startswith(f" by process {holder.pid} (")
    assert r"-c import socket\ns = " in named
