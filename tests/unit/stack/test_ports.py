"""The port that an embedded Redis gets."""

from __future__ import annotations

from pathlib import Path

from stack.embedded.ports import free_port, is_free


def test_it_is_free_and_none_that_a_connection_can_take_meanwhile() -> None:
    lowest_picked = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = {free_port() for _ in range(20)}
    assert all(10_000 <= port < lowest_picked and is_free("127.0.0.1", port) for port in ports)
    assert len(ports) > 10
