"""How patient the Swarm provider is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Durations in seconds.

    Tasks are listed every `poll`, and every `fast_poll` for `fast_for` seconds after something has happened. Services
    and nodes are read when the engine reports a change, and every `full_poll` in case it did not. `poll_timeout` and
    `call_timeout` end the wait for an engine that does not answer; `restart_delay` is Swarm's pause before it replaces
    a task that ended. `connect_timeout` is for the first connection to a new replica, `admission_wait` how long a new
    table waits for those.
    """

    poll: float = 1.0
    fast_poll: float = 0.2
    fast_for: float = 4.0
    full_poll: float = 15.0
    poll_timeout: float = 5.0
    call_timeout: float = 10.0
    log_timeout: float = 3.0
    restart_delay: float = 1.0
    connect_timeout: float = 1.0
    admission_wait: float = 0.3
