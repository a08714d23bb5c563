"""A copy of the product with example functions of a test's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.processes import REPOSITORY

_FOLDERS = ("fwatchdog", "gateway", "stack", "swarmfn", "template", "worker")
_FILES = ("Dockerfile", "deploy_extended.py", "docker-compose.swarm.yml", "requirements.txt", "sbom.cdx.json")


class Checkout:
    """The product in `root`, at first without examples."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "examples").mkdir(parents=True)
        for folder in _FOLDERS:
            shutil.copytree(REPOSITORY / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
        for file in _FILES:
            shutil.copy(REPOSITORY / file, root)
        self._entries: dict[str, Any] = {}
        self._write()

    def add(self, name: str, files: Mapping[str, str] | None = None, **entry: Any) -> None:
        """Adds the example, or gives one that is there other files; `entry` is what stack.yml says of it."""
        folder = self.root / "examples" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file, text in (files or {}).items():
            (folder / file).write_text(text)
        self._entries[name] = {"handler": f"./{name}", **entry}
        self._write()

    def _write(self) -> None:
        # JSON is YAML.
        (self.root / "examples" / "stack.yml").write_text(json.dumps({"functions": self._entries}))
