"""How long a replica may run one call, and how long it may take to stop, wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping

from swarmfn.wire.durations import format_duration, parse_duration
from swarmfn.wire.functions import EXEC_TIMEOUT, FunctionSpec

DRAIN_MARGIN = 2.0
MAX_DRAIN = 3600.0
"""No replica is waited for longer than this, whatever its timeouts say."""

_WATCHDOG_TIMEOUT = 30.0


def timeout_variables(
    function: FunctionSpec, image_env: Mapping[str, str], default_exec_timeout: float, healthcheck_interval: str
) -> dict[str, str]:
    """The watchdog's timeouts as environment variables, complete: what nobody set follows the exec_timeout.

    The watchdog's own 30 s would cut off calls that the gateway still waits for. The healthcheck_interval is
    `healthcheck_interval` unless set.
    """
    exec_timeout = format_duration(function.exec_timeout(image_env, default_exec_timeout))
    found = {
        "read_timeout": exec_timeout,
        "write_timeout": exec_timeout,
        "healthcheck_interval": healthcheck_interval,
        **image_env,
        **function.env_vars,
        EXEC_TIMEOUT: exec_timeout,
    }
    return {name: found[name] for name in ("read_timeout", "write_timeout", "healthcheck_interval", EXEC_TIMEOUT)}


def drain_time(environment: Mapping[str, str]) -> float:
    """Seconds from SIGTERM within which a watchdog with this environment ends, whatever it is running."""
    running = max(_seconds(environment, "write_timeout"), _seconds(environment, EXEC_TIMEOUT))
    return min(MAX_DRAIN, _seconds(environment, "healthcheck_interval") + running + DRAIN_MARGIN)


def _seconds(environment: Mapping[str, str], name: str) -> float:
    try:
        return parse_duration(environment.get(name, ""))
    except ValueError:
        return _WATCHDOG_TIMEOUT
