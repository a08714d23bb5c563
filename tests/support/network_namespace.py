"""Connections from inside another network namespace, such as a container's, made by this process."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class NetworkNamespace:
    """The network namespace that `path` (`/proc/PID/ns/net`) stands for. It lives as long as this object, even if the
    process ends."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def connect(self, address: str, port: int, timeout: float) -> socket.socket:
        """A connection as from inside; the thread is where it was afterwards, the socket stays there."""
        with self._entered():
            return socket.create_connection((address, port), timeout)

    def close(self) -> None:
        os.close(self._file)

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """Only the calling thread moves."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(self._file)
            try:
                yield
            finally:
                _enter(home)
        finally:
            os.close(home)


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "setns")
