"""What every provider promises about replicas: they answer, they are replaced, and no call is lost on their account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from swarmfn.provider import Provider
from swarmfn.wire.functions import FunctionSpec, FunctionStatus
from swarmfn.wire.rollouts import Rollout
from tests.contract.provider.calls import InBackground, SteadyCalls, call, call_function, wait_for_replicas
from tests.contract.provider.engines import Engine
from tests.support.waiting import wait_until


def test_a_replica_answers_at_its_address(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.echo("echo"))
    (address,) = wait_for_replicas(provider, "echo", 1)
    assert call(engine, address, "hello").body == "hello"
    assert provider.get("echo").available_replicas == 1
    assert provider.table()["echo"].problem == ""


def test_functions_whose_names_begin_alike_are_told_apart(engine: Engine, provider: Provider) -> None:
    names = ("greet", "greet-all", "gree")
    for name in names:
        provider.deploy(engine.answering(name, name))
    assert [call_function(engine, name).body for name in names] == list(names)
    provider.scale("gree", 0)
    wait_for_replicas(provider, "gree", 0)
    provider.remove("greet")
    assert call_function(engine, "greet-all").body == "greet-all"
    assert [len(provider.table()[name].addresses) for name in ("gree", "greet-all")] == [0, 1]


def test_replicas_follow_the_number_that_is_wanted(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.identifying("who"))
    for count in (3, 0, 1):
        provider.scale("who", count)
        assert provider.get("who").replicas == count
        addresses = [a for a in wait_for_replicas(provider, "who", count) if a != "none"]
        assert len({call(engine, address).body for address in addresses}) == count
    assert provider.table()["who"].problem == ""


def test_no_call_fails_while_an_update_rolls(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.answering("greet", "old"))
    provider.scale("greet", 2)
    wait_for_replicas(provider, "greet", 2)
    with SteadyCalls(engine, "greet") as calls:
        provider.update(engine.answering("greet", "new"))
        wait_until(lambda: calls.answers[-20:] == ["new"] * 20)
    assert calls.failures == []
    assert set(calls.answers) == {"old", "new"}
    assert provider.get("greet").replicas == 2


def test_no_call_fails_while_replicas_come_and_go(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.echo("echo"))
    wait_for_replicas(provider, "echo", 1)
    with SteadyCalls(engine, "echo") as calls:
        for count in (3, 1):
            provider.scale("echo", count)
            wait_for_replicas(provider, "echo", count)
    assert calls.failures == []


def test_an_equal_spec_changes_nothing(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.identifying("who"))
    before = call_function(engine, "who")
    provider.update(engine.identifying("who"))
    provider.deploy(engine.echo("other"))
    wait_for_replicas(provider, "other")
    assert call_function(engine, "who") == before


def test_an_update_that_never_gets_healthy_leaves_the_old_replicas_serving(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.identifying("who"))
    before = call_function(engine, "who")
    provider.update(engine.crashing("who"))
    wait_until(lambda: "crashed on purpose" in provider.table()["who"].problem)
    assert call_function(engine, "who") == before


def test_an_update_to_a_function_that_works_ends_the_trouble(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.crashing("who"))
    wait_until(lambda: provider.table()["who"].problem)
    provider.update(engine.answering("who", "fixed"))
    assert call_function(engine, "who").body == "fixed"
    assert provider.table()["who"].problem == ""


def test_a_killed_replica_is_replaced(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.identifying("who"))
    before = call_function(engine, "who")
    engine.kill_replica("who")
    wait_until(lambda: call_function(engine, "who") != before)
    assert provider.get("who").replicas == 1


def test_a_function_that_crashes_at_start_says_why(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.crashing("broken"))
    wait_until(lambda: "crashed on purpose" in provider.table()["broken"].problem)
    assert provider.table()["broken"].addresses == ()
    assert provider.get("broken").available_replicas == 0
    assert "crashed on purpose" in provider.logs("broken")


def wait_for_rollout(provider: Provider, name: str, *wanted: Rollout) -> FunctionStatus:
    wait_until(lambda: provider.get(name).rollout in wanted, 60, f"{name} is {wanted}: {provider.get(name)}")
    return provider.get(name)


def test_a_status_tells_how_far_the_last_change_has_got(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.answering("who", "first"))
    assert provider.get("who").rollout is Rollout.RUNNING
    assert wait_for_rollout(provider, "who", Rollout.DONE).problem == ""
    provider.update(engine.answering("who", "second"))
    assert provider.get("who").rollout is Rollout.RUNNING
    wait_for_rollout(provider, "who", Rollout.DONE)
    assert call_function(engine, "who").body == "second"
    provider.update(engine.crashing("who"))
    failed = wait_for_rollout(provider, "who", Rollout.FAILING, Rollout.TAKEN_BACK)
    wait_until(lambda: "crashed on purpose" in provider.get("who").problem)
    assert failed.available_replicas == 1
    assert call_function(engine, "who").body == "second"
    provider.update(engine.answering("who", "third"))
    wait_for_rollout(provider, "who", Rollout.DONE)
    assert call_function(engine, "who").body == "third"
    provider.scale("who", 0)
    assert provider.get("who").rollout is Rollout.DONE


def test_a_deployment_that_fails_is_said_to(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.crashing("broken"))
    wait_for_rollout(provider, "broken", Rollout.FAILING)


def busy(function: FunctionSpec) -> FunctionSpec:
    """`function`, so that `/_/ready` tells when it is running a call."""
    return replace(function, env_vars={"max_inflight": "1"})


@pytest.mark.parametrize(
    "stop",
    [
        lambda provider, engine: provider.remove("nap"),
        lambda provider, engine: provider.scale("nap", 0),
        lambda provider, engine: provider.update(engine.answering("nap", "other")),
    ],
    ids=["remove", "scale", "update"],
)
def test_a_replica_that_stops_finishes_what_it_is_running(
    engine: Engine, provider: Provider, stop: Callable[[Provider, Engine], object]
) -> None:
    provider.deploy(busy(engine.sleeping("nap")))
    (address,) = wait_for_replicas(provider, "nap", 1)
    nap = InBackground(lambda: call(engine, address, "1.5"))
    wait_until(lambda: call(engine, address, path="/_/ready").status == 429)
    stop(provider, engine)
    assert nap.result().body == "awake"


def test_replicas_outlive_their_provider_and_are_taken_over(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.identifying("who"))
    provider.scale("who", 2)
    addresses = wait_for_replicas(provider, "who", 2)
    before = {call(engine, address).body for address in addresses}
    provider.close()
    assert {call(engine, address).body for address in addresses} == before
    again = engine.reopen()
    assert set(again.table()["who"].addresses) == set(addresses)
    again.scale("who", 0)
    wait_for_replicas(again, "who", 0)


def test_replicas_that_died_meanwhile_are_replaced(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.identifying("who"))
    before = call_function(engine, "who")
    provider.close()
    engine.kill_replica("who")
    engine.reopen()
    wait_until(lambda: call_function(engine, "who") != before)
