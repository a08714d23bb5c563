"""The lock file: there while the function may get calls. Health checks that only look at files use it."""

from __future__ import annotations

import contextlib
import os


class LockFile:
    """`/tmp/.lock`, or nothing at all when suppressed."""

    def __init__(self, path: str | None = "/tmp/.lock") -> None:  # noqa: S108, the contract's place
        self._path = path

    def acquire(self) -> None:
        """Raises OSError, as on a read-only file system."""
        if self._path is not None:
            with open(self._path, "wb"):
                pass

    def is_held(self) -> bool:
        """Whether it is there; anyone may remove it to make the function unhealthy."""
        return self._path is None or os.path.exists(self._path)

    def release(self) -> None:
        if self._path is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
