"""Ports of this machine: a free one, and who holds one that is not."""

from __future__ import annotations

import errno
import os
import secrets
import socket
from pathlib import Path

from stack.errors import StackError
from swarmfn.process_identity import command_of
from swarmfn.wire.addresses import family_of, join_address
from swarmfn.wire.visible import visible

_LISTENING = "0A"
_LOWEST = 10_000
_TRIES = 100


def free_port() -> int:
    """A loopback port nobody listens on right now.

    It lies below those that the kernel picks for the near ends of connections, where there are any: one of these could
    be taken before the program that it is meant for listens on it.
    """
    lowest_picked = _lowest_picked()
    for _ in range(_TRIES if lowest_picked > _LOWEST else 0):
        port = _LOWEST + secrets.randbelow(lowest_picked - _LOWEST)
        if is_free("127.0.0.1", port):
            return port
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        picked: int = listener.getsockname()[1]
        return picked


def _lowest_picked() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def is_free(address: str, port: int) -> bool:
    """Whether a program could listen there. Raises StackError for an address this machine does not have."""
    with socket.socket(family_of(address)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
            listener.listen(1)
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                return False
            raise StackError(f"cannot listen on {join_address(address, port)}: {exc.strerror}.") from exc
    return True


def holder_of(port: int) -> str:
    """Who listens on the port, as ` by process 123 (nginx -g …)`; "" where /proc does not tell."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not inodes:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        if _holds(process, inodes):
            return f" by process {process.name} ({visible(command_of(int(process.name))[:80])})"
    return ""


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def _holds(process: Path, inodes: set[str]) -> bool:
    try:
        return any(os.readlink(link) in inodes for link in (process / "fd").iterdir())
    except OSError:
        return False
