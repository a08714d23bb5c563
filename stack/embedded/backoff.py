"""How long a service that ended waits before it is started again."""

from __future__ import annotations

SHORTEST = 0.2
LONGEST = 10.0
HEALTHY_AFTER = 10.0


def next_delay(previous: float, uptime: float) -> float:
    """Seconds to wait. Doubles with each early end, and starts again once a service has run for a while.

    `previous` is the last delay (0: none yet), `uptime` how long the service ran this time.
    """
    if previous == 0 or uptime >= HEALTHY_AFTER:
        return SHORTEST
    return min(LONGEST, previous * 2)
