"""What a function's row says when Swarm cannot run it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swarmfn.provider.swarm import SwarmProvider
from swarmfn.wire.errors import InvalidFunction
from swarmfn.wire.rollouts import Rollout
from tests.contract.provider.calls import call_function, wait_for_replicas
from tests.contract.provider.swarm_engine import SwarmEngine
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
