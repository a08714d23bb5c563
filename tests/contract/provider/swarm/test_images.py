"""Images of all kinds: whose watchdog they carry does not matter."""

from __future__ import annotations

from dataclasses import replace

from swarmfn.provider.swarm import SwarmProvider
from swarmfn.wire.functions import FunctionSpec
from tests.contract.provider.calls import InBackground, SteadyCalls, call, call_function, wait_for_replicas
from tests.contract.provider.swarm_engine import SwarmEngine
from tests.support.waiting import wait_until


def test_an_image_with_nothing_of_ours_serves_rolls_and_drains(
    engine: SwarmEngine, provider: SwarmProvider, foreign_image: str
) -> None:
    function = FunctionSpec("foreign", foreign_image)
    provider.deploy(function)
    (address,) = wait_for_replicas(provider, "foreign", 1)
    assert call(engine, address, path="/_/health").body == "OK"
    nap = InBackground(lambda: call(engine, address, "sleep 3"))
    wait_until(lambda: engine.container("foreign").exec_run(["test", "-e", "/tmp/busy"]).exit_code == 0)
    with SteadyCalls(engine, "foreign") as calls:
        provider.update(replace(function, env_vars={"a": "b"}))
        wait_until(lambda: provider.table()["foreign"].addresses not in ((), (address,)))
    assert calls.failures == []
    assert nap.result().body == "SLEEP 3"


def test_an_image_without_a_health_check_is_called_once_it_accepts_connections(
    engine: SwarmEngine, provider: SwarmProvider, unchecked_image: str
) -> None:
    provider.deploy(FunctionSpec("slow", unchecked_image, env_vars={"START_DELAY": "2"}))
    wait_until(lambda: "accepts no connection" in provider.table()["slow"].problem)
    assert provider.table()["slow"].addresses == ()
    assert provider.get("slow").available_replicas == 0
    assert call_function(engine, "slow", "ready").body == "READY"
    assert provider.table()["slow"].problem == ""


def test_an_unhealthy_image_says_so(engine: SwarmEngine, provider: SwarmProvider, foreign_image: str) -> None:
    provider.deploy(FunctionSpec("sick", foreign_image, env_vars={"NEVER_LISTEN": "1"}))
    wait_until(lambda: "its health check failed" in provider.table()["sick"].problem)
    assert provider.table()["sick"].addresses == ()
