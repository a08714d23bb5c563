"""Fingerprints of installed code, so that `up` notices when a program has changed."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path


def code_fingerprint(root: Path, *modules: str) -> str:
    """Changes with any source file of the modules, which may be packages, and with the requirements.txt in `root`, if
    there is one."""
    digest = hashlib.sha256()
    requirements = root / "requirements.txt"
    for path in [requirements, *(path for module in modules for path in _sources(module))]:
        if path.is_file():
            digest.update(str(path).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _sources(module: str) -> list[Path]:
    spec = importlib.util.find_spec(module)
    if spec is None:
        return []
    roots = spec.submodule_search_locations
    if roots is None:
        return [Path(spec.origin)] if spec.origin else []
    files = (path for root in roots for path in Path(root).rglob("*") if path.is_file())
    return sorted(path for path in files if "__pycache__" not in path.parts)
