"""What an image is built from: its files, as one value with a digest, and as the archive that an engine takes."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from docker.utils import exclude_paths

from stack.errors import StackError

CODE_LENGTH = 12
"""Hexadecimal digits of the digest that tell one content from another in an image's tag."""

# Made by running the code, and different on every machine.
_NEVER = ("**/__pycache__", "**/*.pyc")


@dataclass(frozen=True)
class BuildContext:
    """`files` by their names in the archive, in which `dockerfile` is one; `extra` is what else the result depends on,
    such as the digest of an image that it begins from."""

    files: Mapping[str, Path | bytes]
    dockerfile: str = "Dockerfile"
    build_args: Mapping[str, str] = field(default_factory=dict)
    extra: str = ""

    def code(self) -> str:
        """Changes with every name, content and executable bit, and with every build argument; not with times, owners
        or the folder it lies in."""
        digest = hashlib.sha256()
        for part in (
            self.dockerfile,
            self.extra,
            *(f"{key}={self.build_args[key]}" for key in sorted(self.build_args)),
        ):
            digest.update(f"{len(part)}:{part}\0".encode())
        for name, content, mode in self._entries():
            digest.update(f"{name}\0{mode:o}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()[:CODE_LENGTH]

    def archive(self) -> IO[bytes]:
        """A tar archive in a temporary file, to be closed by the caller. Everybody may read what is in it, whatever
        umask the files were made under: the image's user is not the one who builds it."""
        file = tempfile.TemporaryFile()  # noqa: SIM115, the caller's to close
        with tarfile.open(fileobj=file, mode="w") as archive:
            for name, content, mode in self._entries():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), mode
                archive.addfile(entry, io.BytesIO(content))
        file.seek(0)
        return file

    def _entries(self) -> Iterator[tuple[str, bytes, int]]:
        for name in sorted(self.files):
            source = self.files[name]
            if isinstance(source, bytes):
                yield name, source, 0o644
            else:
                yield name, source.read_bytes(), 0o755 if os.access(source, os.X_OK) else 0o644


def folder_context(
    root: Path, dockerfile: str = "Dockerfile", build_args: Mapping[str, str] | None = None
) -> BuildContext:
    """All of a folder that its .dockerignore does not leave out. Raises StackError where there is no Dockerfile."""
    if not (root / dockerfile).is_file():
        raise StackError(f"there is no {dockerfile} in {root}: no image can be built from it.")
    ignore = root / ".dockerignore"
    lines = ignore.read_text().splitlines() if ignore.is_file() else []
    patterns = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    names = exclude_paths(str(root), [*patterns, *_NEVER], dockerfile=dockerfile)
    files = {Path(name).as_posix(): root / name for name in names if (root / name).is_file()}
    return BuildContext(files, dockerfile, dict(build_args or {}))
