"""Time for a service to finish what it is doing before it is killed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stack.compose.model import Service
from swarmfn.wire.durations import parse_duration

# How long a service goes on after SIGTERM is a setting of its own: the gateway's calls, the worker's runs.
_DRAINS = ("upstream_timeout", "drain_timeout")
_MARGIN = 15.0  # seconds, for what comes before and after the drain


def with_room_to_drain(services: Mapping[str, Service]) -> dict[str, Service]:
    """The services, each with a stop_grace_period that covers its drain, also where that was set longer than
    the compose file has. A setting that is not a duration changes nothing here: the service itself reports it."""
    return {
        name: replace(service, stop_grace_period=max(service.stop_grace_period, _drain(service) + _MARGIN))
        for name, service in services.items()
    }


def _drain(service: Service) -> float:
    return max((_seconds(service.environment[name]) for name in _DRAINS if name in service.environment), default=0.0)


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError:
        return 0.0
