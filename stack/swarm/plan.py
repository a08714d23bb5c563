"""What has to change on the swarm: wanted − present."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stack.swarm.spec import SPEC_MARK
from swarmfn.provider.swarm.documents import ServiceSpec


@dataclass(frozen=True)
class Plan:
    """Names of services. What is not wanted is removed, then the rest is created or updated."""

    remove: tuple[str, ...]
    create: tuple[str, ...]
    update: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.remove or self.create or self.update)


def make_plan(wanted: Mapping[str, ServiceSpec], present: Mapping[str, ServiceSpec]) -> Plan:
    """`wanted` and `present` hold specifications by the service's name on the engine."""
    return Plan(
        remove=tuple(name for name in present if name not in wanted),
        create=tuple(name for name in wanted if name not in present),
        update=tuple(name for name, spec in wanted.items() if name in present and differs(spec, present[name])),
    )


def differs(wanted: ServiceSpec, present: ServiceSpec) -> bool:
    """Whether the service has to be updated: by its mark, or because someone changed it by hand since."""
    marks = [(spec.get("Labels") or {}).get(SPEC_MARK) for spec in (wanted, present)]
    return marks[0] != marks[1] or not _is_within(wanted, present)


def _is_within(wanted: object, present: object) -> bool:
    """Whether `present` says all that `wanted` says. The engine adds defaults, and drops what is empty."""
    if isinstance(wanted, Mapping):
        entries = present if isinstance(present, Mapping) else {}
        return all(_is_within(value, entries.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        items = present if isinstance(present, list) else []
        return len(wanted) == len(items) and all(map(_is_within, wanted, items))
    return bool(wanted == present or (not wanted and not present))
