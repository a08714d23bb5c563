"""What goes into a build of an image: its Dockerfile, the files of its context, and its arguments."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

DOCKERFILE = "Dockerfile"
_ARG = re.compile(r"""\s*ARG\s+(\w+)(?:=["']?([^\s"']*))?""", re.IGNORECASE)
_FROM = re.compile(r"\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")

_SKIPPED = frozenset({"__pycache__", ".git", ".hg", ".venv", "venv", "node_modules", ".mypy_cache", ".pytest_cache"})


@dataclass(frozen=True)
class Recipe:
    """A build as a value. `dockerfile` is the text; `files` maps names in the context to files, or to their content.

    Nothing is read before `content_hash()` or `archive()`.
    """

    dockerfile: str
    files: Mapping[str, Path | bytes]
    build_args: Mapping[str, str] = field(default_factory=dict)

    def bases(self) -> list[str]:
        """The images that the build begins from, by the names that its Dockerfile gives them."""
        arguments: dict[str, str] = {}
        stages = {"scratch"}
        found: list[str] = []
        for line in self.dockerfile.splitlines():
            if argument := _ARG.match(line):
                name, default = argument.groups()
                arguments[name] = self.build_args.get(name, default or "")
            elif begins := _FROM.match(line):
                image, stage = begins.groups()
                image = _VARIABLE.sub(lambda used: arguments.get(used[1] or used[3]) or used[2] or "", image)
                if image and image not in (*stages, *found):
                    found.append(image)
                stages.add(stage or "")
        return found

    def content_hash(self, bases: Iterable[str] = ()) -> str:
        """Twelve hexadecimal digits, the same while the build would give the same image. What it begins from counts by
        name, and by what `bases` has for each."""
        digest = hashlib.sha256("".join(f"{base}\0" for base in bases).encode())
        for name, mode, content in self._entries():
            digest.update(f"{name}\0{mode:o}\0{len(content)}\0".encode() + content)
        for name, value in sorted(self.build_args.items()):
            digest.update(f"{name}={value}\0".encode())
        return digest.hexdigest()[:12]

    def archive(self) -> bytes:
        """The context as a tar archive with the Dockerfile in it, for `images.build(fileobj=…, custom_context=True)`.

        The same content makes the same bytes: an engine takes its cached layers then.
        """
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, mode, content in self._entries():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), mode
                tar.addfile(entry, io.BytesIO(content))
        return out.getvalue()

    def _entries(self) -> Iterator[tuple[str, int, bytes]]:
        entries: dict[str, Path | bytes] = {**self.files, DOCKERFILE: self.dockerfile.encode()}
        for name, source in sorted(entries.items()):
            if isinstance(source, bytes):
                yield name, 0o644, source
            else:
                yield name, 0o755 if os.access(source, os.X_OK) else 0o644, source.read_bytes()


def stack_recipe(root: Path, base: str = "") -> Recipe:
    """The image of the gateway and the worker, from the repository in `root`. Without `base`, the Dockerfile's own."""
    files: dict[str, Path | bytes] = {name: root / name for name in ("requirements.txt", "sbom.cdx.json")}
    for package in ("swarmfn", "gateway", "worker"):
        files.update(folder_files(root / package, package))
    return Recipe((root / DOCKERFILE).read_text(), files, base_argument(base))


def watchdog_recipe(root: Path, base: str = "") -> Recipe:
    """The image that functions start from, from the repository in `root`. Without `base`, the Dockerfile's own."""
    files: dict[str, Path | bytes] = {"swarmfn/__init__.py": root / "swarmfn/__init__.py"}
    for package in ("swarmfn/wire", "fwatchdog"):
        files.update(folder_files(root / package, package))
    del files[f"fwatchdog/{DOCKERFILE}"]
    return Recipe((root / "fwatchdog" / DOCKERFILE).read_text(), files, base_argument(base))


def base_argument(base: str) -> dict[str, str]:
    """The build arguments that put `base` in the place of a Dockerfile's own."""
    return {"BASE": base} if base else {}


def folder_files(folder: Path, prefix: str = "") -> dict[str, Path]:
    """Every file under `folder` by its name in the context; not what tools leave behind, nor version control."""
    found = {}
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        for name in names:
            path = Path(parent, name)
            if path.is_file() and path.suffix != ".pyc":
                found[Path(prefix, path.relative_to(folder)).as_posix()] = path
    return found
