"""The environment that a replica is started with: nothing of the platform's own, only what is listed here."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from swarmfn.wire.durations import format_duration, parse_duration
from swarmfn.wire.functions import EXEC_TIMEOUT, FunctionSpec

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DRAIN_MARGIN = 2.0
MAX_DRAIN = 3600.0
"""No replica is waited for longer than this, whatever its timeouts say."""

_HEALTHCHECK_INTERVAL = "500ms"
_WATCHDOG_TIMEOUT = 30.0


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

    envVars win over the image's ENV. Timeouts that nobody set follow the function's exec_timeout: the watchdog's own
    30 s would cut off calls that the gateway still waits for. The healthcheck_interval is short unless set, since a
    local replica has left the table before it is told to stop.
    """
    exec_timeout = format_duration(function.exec_timeout(image_env, default_exec_timeout))
    return {
        **host_environment(),
        "PYTHONUNBUFFERED": "1",
        "gateway_url": gateway_url,
        "read_timeout": exec_timeout,
        "write_timeout": exec_timeout,
        "healthcheck_interval": _HEALTHCHECK_INTERVAL,
        **image_env,
        **function.env_vars,
        EXEC_TIMEOUT: exec_timeout,
        "metrics_port": "0",
        "suppress_lock": "true",
    }


def drain_time(environment: Mapping[str, str]) -> float:
    """Seconds from SIGTERM within which a watchdog with this environment ends, whatever it is running."""
    running = max(_seconds(environment, "write_timeout"), _seconds(environment, EXEC_TIMEOUT))
    return min(MAX_DRAIN, _seconds(environment, "healthcheck_interval") + running + DRAIN_MARGIN)


def _seconds(environment: Mapping[str, str], name: str) -> float:
    try:
        return parse_duration(environment.get(name, ""))
    except ValueError:
        return _WATCHDOG_TIMEOUT
