"""The command `swarmfn` of an installed package: what deploy_extended.py is in a checkout.

The programs are not packages of their own in site-packages, where names such as `gateway` could be somebody else's:
they lie together in one folder of shared files (docs/adr/006-the-package.md), which goes on the path here.
"""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

_MARK = "docker-compose.swarm.yml"


def main() -> int:
    """Runs the command line; its exit code."""
    folder = _programs()
    if folder is None:
        print(
            "swarmfn: its shared files are missing. Install it again: pip install --force-reinstall swarmfn",
            file=sys.stderr,
        )
        return 1
    sys.path.insert(0, str(folder))
    code: int = importlib.import_module("stack.cli").main(sys.argv[1:])
    return code


def _programs() -> Path | None:
    """Where the installer has put them: that depends on its scheme (a virtual environment, --user, a system)."""
    try:
        files = distribution("swarmfn").files or []
    except PackageNotFoundError:
        return None
    marks = (Path(str(file.locate())).resolve() for file in files if file.name == _MARK)
    return next((mark.parent for mark in marks if mark.is_file()), None)
