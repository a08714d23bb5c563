"""What a deployment changes, in which order, and what it puts back when it fails."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from stack.errors import DeployFailed, StackError
from stack.swarm.deployment import Deployment
from stack.swarm.services import Present
from stack.swarm.spec import SPEC_MARK
from swarmfn.provider.swarm.documents import ServiceSpec


def spec(name: str, mark: str) -> ServiceSpec:
    return {"Name": name, "Labels": {SPEC_MARK: mark}, "TaskTemplate": {"ContainerSpec": {"Image": name}}}


class Swarm:
    """Services, their health and their removal; what is done is noted in `done`. `sick` are names that do not become
    healthy, `refuses` those of which no change is taken."""

    def __init__(self, *present: ServiceSpec) -> None:
        self.specs = {one["Name"]: one for one in present}
        self.done: list[str] = []
        self.said: list[str] = []
        self.sick: set[str] = set()
        self.refuses: set[str] = set()

    def present(self) -> dict[str, Present]:
        return {name: Present(name, 1, one, "") for name, one in self.specs.items()}

    def find(self, name: str) -> Present | None:
        return self.present().get(name)

    def create(self, spec: ServiceSpec) -> None:
        self._set("create", spec)

    def update(self, spec: ServiceSpec) -> None:
        self._set("update", spec)

    def remove(self, names: str | Iterable[str]) -> None:
        for name in [names] if isinstance(names, str) else names:
            self.done.append(f"remove {name}")
            self.specs.pop(name, None)

    def until_ready(self, spec: ServiceSpec, is_changed: bool) -> None:
        self.done.append(f"wait for {spec['Name']}")
        if spec["Name"] in self.sick and is_changed:
            raise DeployFailed(f"{spec['Name']} is sick.")

    def remove_created(self, timeout: float) -> None:
        self.done.append("remove objects")

    def _set(self, what: str, spec: ServiceSpec) -> None:
        name = spec["Name"]
        self.done.append(f"{what} {name} {spec['Labels'][SPEC_MARK]}")
        if name in self.refuses:
            raise StackError(f"{name} cannot be changed.")
        self.specs[name] = spec

    def deployment(self) -> Deployment:
        return Deployment(self, self, self, self, self.said.append)


def test_stages_are_changed_one_after_the_other_each_once_it_is_ready() -> None:
    swarm = Swarm(spec("redis", "1"), spec("gateway", "1"), spec("old", "1"))
    plan = swarm.deployment().apply([[spec("redis", "1")], [spec("gateway", "2"), spec("worker", "1")]])
    assert not plan.is_empty
    assert swarm.done == [
        "remove old",
        "wait for redis",
        "update gateway 2",
        "create worker 1",
        "wait for gateway",
        "wait for worker",
    ]


def test_what_is_as_it_should_be_is_left_alone() -> None:
    swarm = Swarm(spec("redis", "1"))
    assert swarm.deployment().apply([[spec("redis", "1")]]).is_empty
    assert swarm.done == ["wait for redis"]


def failed(swarm: Swarm) -> Deployment:
    """A deployment that has created `new` and updated the others, of which one did not become ready."""
    deployment = swarm.deployment()
    swarm.sick.add("sick")
    with pytest.raises(DeployFailed):
        deployment.apply([[spec("fine", "2"), spec("new", "2")], [spec("sick", "2")]])
    swarm.done.clear()
    return deployment


def test_restoring_puts_back_what_was_changed_and_takes_away_what_was_made() -> None:
    swarm = Swarm(spec("fine", "1"), spec("sick", "1"), spec("unwanted", "1"))
    failed(swarm).restore()
    assert swarm.specs == {name: spec(name, "1") for name in ("fine", "sick", "unwanted")}
    assert swarm.done[0] == "remove new"
    assert sorted(swarm.done[1:4]) == ["update fine 1", "update sick 1", "update unwanted 1"]
    assert swarm.done[-1] == "remove objects"


def test_restoring_leaves_alone_what_swarm_has_taken_back_already() -> None:
    """Another update would replace replicas that are just coming up."""
    swarm = Swarm(spec("fine", "1"), spec("sick", "1"))
    deployment = failed(swarm)
    swarm.specs["sick"] = spec("sick", "1")
    deployment.restore()
    assert [step for step in swarm.done if step.startswith("update")] == ["update fine 1"]
    assert {step for step in swarm.done if step.startswith("wait")} == {"wait for fine", "wait for sick"}


def test_restoring_goes_on_after_a_failure_and_says_it() -> None:
    swarm = Swarm(spec("fine", "1"), spec("sick", "1"))
    deployment = failed(swarm)
    swarm.refuses.add("fine")
    deployment.restore()
    assert swarm.specs["sick"] == spec("sick", "1")
    assert "could not be put back: fine cannot be changed." in swarm.said
    assert swarm.done[-1] == "remove objects"
