"""What has to change: wanted − present, by fingerprint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stack.embedded.spec import ServiceSpec


@dataclass(frozen=True)
class Plan:
    """Names of services in the order to treat them in: `stop` what is not wanted, then start or replace."""

    stop: tuple[str, ...]
    start: tuple[str, ...]
    replace: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.stop or self.start or self.replace)


def make_plan(wanted: Sequence[ServiceSpec], present: Mapping[str, str]) -> Plan:
    """`present` holds the fingerprint of each service the supervisor has, in the order it started them in."""
    names = {spec.name for spec in wanted}
    return Plan(
        stop=tuple(name for name in reversed(list(present)) if name not in names),
        start=tuple(spec.name for spec in wanted if spec.name not in present),
        replace=tuple(spec.name for spec in wanted if present.get(spec.name, spec.fingerprint) != spec.fingerprint),
    )
