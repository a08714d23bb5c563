"""What a function's row says when Swarm cannot run it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from swarmfn.provider.swarm import SwarmProvider
from swarmfn.provider.swarm.engine_api import EngineApi
from swarmfn.wire.errors import InvalidFunction
from swarmfn.wire.rollouts import Rollout
from tests.contract.provider.calls import call_function, wait_for_replicas
from tests.contract.provider.swarm_engine import Swarm, SwarmEngine
from tests.support.waiting import wait_until


def problem(provider: SwarmProvider, name: str) -> str:
    return provider.table()[name].problem


def test_an_image_that_is_nowhere_is_the_problem(engine: SwarmEngine, provider: SwarmProvider) -> None:
    provider.deploy(replace(engine.echo("echo"), image="contract/no-such-image:1"))
    wait_until(lambda: "No such image: contract/no-such-image:1" in problem(provider, "echo"))


def test_a_constraint_that_no_node_meets_is_the_problem(engine: SwarmEngine, provider: SwarmProvider) -> None:
    provider.deploy(replace(engine.echo("picky"), constraints=("node.labels.disk == fast",)))
    wait_until(lambda: "no node can take it: no suitable node" in problem(provider, "picky"))
    provider.update(engine.echo("picky"))
    assert call_function(engine, "picky", "here").body == "here"
    assert problem(provider, "picky") == ""


def test_a_constraint_that_is_none_is_refused(engine: SwarmEngine, provider: SwarmProvider) -> None:
    with pytest.raises(InvalidFunction, match="constraints"):
        provider.deploy(replace(engine.echo("echo"), constraints=("somewhere nice",)))
    assert provider.functions() == []


@pytest.mark.parametrize("image", ["Upper/case", "a b", "x:y:z", "http://host/image", ""])
def test_what_is_no_name_of_an_image_is_refused(engine: SwarmEngine, provider: SwarmProvider, image: str) -> None:
    with pytest.raises(InvalidFunction, match="image"):
        provider.deploy(replace(engine.echo("echo"), image=image))


def test_an_update_that_fails_is_taken_back_and_explained_until_the_next(
    engine: SwarmEngine, provider: SwarmProvider
) -> None:
    provider.deploy(replace(engine.identifying("who"), labels={"com.openfaas.scale.min": "2"}))
    wait_for_replicas(provider, "who", 2)
    before = provider.get("who")
    provider.update(engine.crashing("who"))
    wait_until(lambda: "the last update failed" in problem(provider, "who"))
    wait_until(lambda: "exited with status 1: crashed on purpose" in problem(provider, "who"))
    wait_until(lambda: provider.get("who").rollout is Rollout.TAKEN_BACK)
    assert (provider.get("who").spec, provider.get("who").available_replicas) == (before.spec, 2)
    assert engine.service("who").attrs["UpdateStatus"]["State"].startswith("rollback")
    provider.update(before.spec)
    wait_until(lambda: problem(provider, "who") == "")
    assert len(wait_for_replicas(provider, "who", 2)) == 2


def test_an_update_that_finds_no_node_leaves_the_old_replicas_serving_and_says_why(
    engine: SwarmEngine, provider: SwarmProvider
) -> None:
    provider.deploy(engine.identifying("who"))
    before = call_function(engine, "who")
    provider.update(replace(engine.identifying("who"), constraints=("node.labels.disk == fast",)))
    wait_until(lambda: "no suitable node" in problem(provider, "who"))
    assert call_function(engine, "who") == before


@pytest.fixture(params=[0, 1])
def short_history(request: pytest.FixtureRequest, swarm: Swarm) -> Iterator[None]:
    """Swarm deletes every task, and its container, a quarter of a second after its end."""
    swarm.client.swarm.reload()
    swarm.client.swarm.update(task_history_retention_limit=request.param)
    yield
    swarm.client.swarm.reload()
    swarm.client.swarm.update(task_history_retention_limit=5)


@pytest.mark.usefixtures("short_history")
def test_where_swarm_forgets_what_ended_the_reason_is_found(engine: SwarmEngine, provider: SwarmProvider) -> None:
    provider.deploy(engine.crashing("who"))
    provider.deploy(replace(engine.echo("echo"), image="contract/no-such-image:1"))
    wait_until(lambda: "exited with status 1" in problem(provider, "who"), 30)
    wait_until(lambda: "No such image: contract/no-such-image:1" in problem(provider, "echo"), 30)
    assert provider.get("who").rollout is Rollout.FAILING
    provider.update(engine.identifying("who"))
    wait_for_replicas(provider, "who", 1)
    assert problem(provider, "who") == ""
    provider.update(engine.crashing("who"))

    def says() -> bool:
        assert "exited with status 1" in problem(provider, "who")
        return True

    wait_until(says, 30)
    # With no history at all Swarm itself may miss it, and try for ever.
    wait_until(lambda: provider.get("who").rollout in (Rollout.FAILING, Rollout.TAKEN_BACK))
    assert provider.table()["who"].addresses
    provider.update(engine.identifying("who"))
    wait_until(lambda: (problem(provider, "who"), provider.get("who").rollout) == ("", Rollout.DONE))


def test_how_a_forgotten_task_ended_is_known_to_its_engine(swarm: Swarm) -> None:
    for status in (0, 7):
        labels = {"com.docker.swarm.task.id": f"ended-{status}"}
        swarm.client.containers.run(swarm.base, ["sh", "-c", f"exit {status}"], labels=labels, detach=True)
    with contextlib.closing(EngineApi(swarm.engine.url, 10.0)) as api:
        for status in (0, 7):
            wait_until(lambda status=status: api.exit_status(f"ended-{status}", 60.0) == status)  # type: ignore[misc]
        assert api.exit_status("another", 60.0) is None


def test_an_update_whose_image_is_nowhere_says_so(engine: SwarmEngine, provider: SwarmProvider) -> None:
    names = ["a", "b", "c"]
    for name in names:
        provider.deploy(engine.identifying(name))
    for name in names:
        wait_for_replicas(provider, name, 1)
    for name in names:
        provider.update(replace(engine.identifying(name), image="contract/no-such-image:1"))
    for name in names:
        wait_until(lambda name=name: "No such image: contract/no-such-image:1" in problem(provider, name), 30)  # type: ignore[misc]
