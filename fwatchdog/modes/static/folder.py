"""The folder that is served: from a request's path to an open file inside it, and never outside."""

from __future__ import annotations

import errno
import os
import stat
from typing import NamedTuple

from fwatchdog.modes.static.conditions import Version

INDEX = b"index.html"
_WELL_KNOWN = b".well-known"
"""The one hidden name that is there to be read by everybody (RFC 8615), at the top."""

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO})


class NotServed(Exception):
    """There is nothing to serve, with the status that says why."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class NeedsSlash(Exception):
    """The path is a folder's, without the slash that makes links in its page work."""


class OpenFile(NamedTuple):
    """`name` is the file's own, which its media type follows from. The receiver closes `descriptor`."""

    descriptor: int
    name: str
    version: Version


class Folder:
    """One folder with everything in it but hidden files; links that lead out of it are not followed."""

    def __init__(self, path: str) -> None:
        self._root = os.path.realpath(os.fsencode(path))

    def exists(self) -> bool:
        return os.path.isdir(self._root)

    def open(self, path: bytes) -> OpenFile:
        """The file at a decoded path, or a folder's index.html. Raises NotServed, NeedsSlash."""
        if b"\0" in path:
            raise NotServed(404)
        target = self._inside(path)
        if os.path.isdir(target):
            if not path.endswith(b"/"):
                raise NeedsSlash
            target = self._inside(path + INDEX)
        elif path.endswith(b"/"):
            raise NotServed(404)
        return self._open(target)

    def _inside(self, path: bytes) -> bytes:
        """The real place of `path`, whose `..` end at the root as in a browser's address."""
        wanted = os.path.normpath(b"/" + path.lstrip(b"/"))
        # What was asked for decides: where a link of the author's leads is the author's choice.
        if _is_hidden(wanted):
            raise NotServed(404)
        real = os.path.realpath(self._root + wanted)
        if real != self._root and not real.startswith(self._root.rstrip(b"/") + b"/"):
            raise NotServed(404)
        return real

    def _open(self, file: bytes) -> OpenFile:
        try:
            # A named pipe would otherwise hold up the whole watchdog.
            descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as exc:
            raise NotServed(_status(exc)) from exc
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise NotServed(404)
        version = Version(status.st_size, status.st_mtime_ns)
        return OpenFile(descriptor, os.fsdecode(os.path.basename(file)), version)


def _is_hidden(path: bytes) -> bool:
    """Whether a part of an absolute path begins with a dot: `.git`, `.env`, `.htpasswd` come along unnoticed."""
    names = path.split(b"/")[1:]
    return any(name.startswith(b".") for name in (names[1:] if names[0] == _WELL_KNOWN else names))


def _status(exc: OSError) -> int:
    if exc.errno in _ABSENT:
        return 404
    return 403 if exc.errno in (errno.EACCES, errno.EPERM) else 500
