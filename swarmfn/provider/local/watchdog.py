"""Where functions' processes find the watchdog: a folder with nothing else of the platform in it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from swarmfn.wire.errors import EngineUnavailable

MODULE = "fwatchdog"
_PACKAGES = (MODULE, "swarmfn")


def link_packages(folder: Path) -> None:
    """Makes `folder` hold links to the watchdog's packages, for PYTHONPATH.

    Wherever those are installed, their neighbours stay out of the functions' sight. Raises EngineUnavailable if they
    are not installed.
    """
    for name in _PACKAGES:
        # Found, not imported: programs never import each other.
        spec = find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise EngineUnavailable(f'the package "{name}" is not installed beside the gateway.')
        target = Path(next(iter(spec.submodule_search_locations)))
        link = folder / name
        if not link.is_symlink() or link.readlink() != target:
            fresh = folder / f"{name}.new"
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(target)
            fresh.replace(link)
