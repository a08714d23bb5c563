"""Files that only this user may read, replaced as a whole: who reads one meanwhile gets the old content or the new."""

from __future__ import annotations

import os
from pathlib import Path

UNFINISHED = ".new"
"""At the end of the name of a file that is being written. A writer that is killed leaves it behind."""


def write_private(path: Path, content: str | bytes, is_durable: bool = True) -> None:
    """Puts `content` (text as UTF-8) at `path` with mode 0600, all of it or nothing.

    `is_durable` also waits until it would survive a power cut. Raises OSError.
    """
    # By process, so that two writers at a time do not spoil each other's.
    draft = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            if is_durable:
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if is_durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Waits until renames and removals in `folder` would survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
