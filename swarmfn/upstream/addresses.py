"""Addresses as text."""

from __future__ import annotations


def split_address(address: str) -> tuple[str, int]:
    """("::1", 8080) for "[::1]:8080", ("echo", 8080) for "echo:8080". Raises ValueError for anything else."""
    host, _, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address must be in brackets")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise ValueError("not an address of the form host:port")
    return host, int(port)
