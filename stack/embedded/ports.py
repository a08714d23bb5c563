"""Ports of this machine: a free one, and who holds one that is not."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

from stack.embedded.identity import command_of
from stack.errors import StackError

_LISTENING = "0A"


def free_port() -> int:
    """A loopback port nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def is_free(address: str, port: int) -> bool:
    """Whether a program could listen there. Raises StackError for an address this machine does not have."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
            listener.listen(1)
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                return False
            raise StackError(f"cannot listen on {address}:{port}: {exc.strerror}.") from exc
    return True


def holder_of(port: int) -> str:
    """Who listens on the port, as ` by process 123 (nginx -g …)`; "" where /proc does not tell."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not inodes:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        if _holds(process, inodes):
            return f" by process {process.name} ({command_of(int(process.name))[:80]})"
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
