"""Whether the files of a folder have changed, without reading them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_SKIPPED = frozenset({".git", ".hg", ".venv", "venv", "__pycache__", "node_modules", ".mypy_cache", ".pytest_cache"})
_PACKAGES = frozenset({"pyproject.toml", "setup.py", "setup.cfg"})
MAX_FILES = 10_000
"""Beyond these a folder is too large to look through at every deployment; the rest is not looked at."""


def fingerprint(folder: Path) -> str:
    """A short text that differs when a file's name, size, time of change or executable bit does.

    Caches and version control are not looked at, and never more than MAX_FILES files.
    """
    digest = hashlib.sha256()
    for count, (name, status) in enumerate(_files(folder, folder)):
        if count == MAX_FILES:
            break
        digest.update(
            f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_mode & 0o111}\n".encode(
                errors="surrogateescape"
            )
        )
    return digest.hexdigest()[:16]


def _files(folder: Path, root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Each file under `folder` in a fixed order, symbolic links as links."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    is_package = any(entry.name in _PACKAGES for entry in entries)
    for entry in entries:
        if entry.name in _SKIPPED or (is_package and _is_built(entry.name)):
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(status.st_mode):
            yield from _files(Path(entry.path), root)
        else:
            yield str(Path(entry.path).relative_to(root)), status


def _is_built(name: str) -> bool:
    """Whether installing a package with pip leaves `name` beside its source."""
    return name in ("build", "dist") or name.endswith(".egg-info")
