"""One run of changing the stack: in stages, each waited for, and undone when it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from stack.compose.model import Service
from stack.errors import StackError
from stack.swarm.plan import Plan, make_plan
from stack.swarm.services import Present
from stack.swarm.spec import SPEC_MARK
from swarmfn.provider.swarm.documents import ServiceSpec

_PATIENCE = 30.0


class Services(Protocol):
    """The services that are changed; see StackServices."""

    def present(self) -> dict[str, Present]: ...
    def find(self, name: str) -> Present | None: ...
    def create(self, spec: ServiceSpec) -> None: ...
    def update(self, spec: ServiceSpec) -> None: ...
    def remove(self, name: str, /) -> None: ...


class Objects(Protocol):
    """What services refer to; see StackObjects."""

    def remove_created(self, timeout: float) -> None: ...


class Health(Protocol):
    """Waits until a service is healthy; see HealthWait."""

    def until_ready(self, spec: ServiceSpec, is_changed: bool) -> None: ...


class Remover(Protocol):
    """Takes services away and waits for their end; see Removal."""

    def remove(self, names: Sequence[str], /) -> None: ...


class Deployment:
    """Brings services to their specifications. What it did is remembered until it is done, for `restore`."""

    def __init__(
        self,
        services: Services,
        objects: Objects,
        health: Health,
        removal: Remover,
        say: Callable[[str], None],
    ) -> None:
        self._services = services
        self._objects = objects
        self._health = health
        self._removal = removal
        self._say = say
        self._created: list[str] = []
        self._before: dict[str, ServiceSpec] = {}

    def apply(self, stages: Sequence[Sequence[ServiceSpec]]) -> Plan:
        """Changes what differs and waits until everything is healthy, one stage after the other.

        Returns what was done. Raises StackError; then `restore` puts back what was there before.
        """
        present = self._services.present()
        wanted = {spec["Name"]: spec for stage in stages for spec in stage}
        plan = make_plan(wanted, {name: found.spec for name, found in present.items()})
        for name in plan.remove:
            self._say(f"{name}: removing, no longer wanted")
            self._before[name] = present[name].spec
            self._services.remove(name)
        for stage in stages:
            for spec in stage:
                self._change(spec, plan, present)
            for spec in stage:
                is_changed = spec["Name"] in plan.create or spec["Name"] in plan.update
                self._health.until_ready(spec, is_changed)
                if is_changed:
                    self._say(f"{spec['Name']}: ready")
        return plan

    def restore(self) -> None:
        """Gives changed services their previous specification and removes what was created; volumes and secrets
        stay. Goes on after a failure and says it: the more is restored the better."""
        if self._created:
            self._say(f"removing what was created: {', '.join(self._created)}")
            self._attempt(partial(self._removal.remove, self._created[::-1]))
        for name, spec in self._before.items():
            self._say(f"{name}: going back to what it was")
            self._attempt(partial(self._go_back, spec))
        for spec in self._before.values():
            self._attempt(partial(self._health.until_ready, spec, is_changed=False))
        self._attempt(partial(self._objects.remove_created, _PATIENCE))

    def _change(self, spec: ServiceSpec, plan: Plan, present: Mapping[str, Present]) -> None:
        name = spec["Name"]
        if name in plan.create:
            self._say(f"{name}: creating")
            self._created.append(name)
            self._services.create(spec)
        elif name in plan.update:
            self._say(f"{name}: updating")
            self._before[name] = present[name].spec
            self._services.update(spec)

    def _go_back(self, spec: ServiceSpec) -> None:
        found = self._services.find(spec["Name"])
        # Swarm may have rolled it back already.
        if found is None or _mark(found.spec) != _mark(spec):
            self._services.update(spec)

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except StackError as exc:
            self._say(f"could not be put back: {exc}")


def stages_of(services: Mapping[str, Service], specs: Mapping[str, ServiceSpec]) -> list[list[ServiceSpec]]:
    """The specifications (by the service's name in the compose file) in groups: each after those it depends on."""
    left, stages = dict(services), []
    done: set[str] = set()
    while left:
        ready = [name for name, service in left.items() if set(service.depends_on) <= done]
        if not ready:
            raise StackError(f"services depend on each other in a circle: {', '.join(left)}.")
        stages.append([specs[name] for name in ready])
        done.update(ready)
        for name in ready:
            del left[name]
    return stages


def _mark(spec: ServiceSpec) -> object:
    return (spec.get("Labels") or {}).get(SPEC_MARK)
