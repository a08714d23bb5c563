"""The environment that a replica is started with: nothing of the platform's own, only what is listed here."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from swarmfn.provider.timeouts import timeout_variables
from swarmfn.wire.functions import FunctionSpec

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HEALTHCHECK_INTERVAL = "500ms"


def host_path() -> str:
    """PATH as functions see it: this process's, without the virtual environment that the platform runs in."""
    own = {str(Path(sys.prefix) / "bin")} if sys.prefix != sys.base_prefix else set()
    folders = os.environ.get("PATH", DEFAULT_PATH).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if folder and folder not in own) or DEFAULT_PATH


def machine_python() -> str:
    """The Python that the platform's virtual environment was made from: it knows none of the platform's packages."""
    return str(getattr(sys, "_base_executable", sys.executable))


def host_environment() -> dict[str, str]:
    """What every process of a function needs to know about this machine."""
    return {
        "PATH": host_path(),
        "HOME": os.environ.get("HOME", "/"),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),  # noqa: S108, a default, not a file of ours
    }


def replica_environment(
    function: FunctionSpec, image_env: Mapping[str, str], *, default_exec_timeout: float, gateway_url: str
) -> dict[str, str]:
    """What a replica of `function` finds in its environment, less what depends on the one replica.

    envVars win over the image's ENV. The healthcheck_interval is short unless set, since a local replica has left the
    table before it is told to stop.
    """
    return {
        **host_environment(),
        "PYTHONUNBUFFERED": "1",
        "gateway_url": gateway_url,
        **image_env,
        **function.env_vars,
        **timeout_variables(function, image_env, default_exec_timeout, _HEALTHCHECK_INTERVAL),
        "metrics_port": "0",
        "suppress_lock": "true",
    }
