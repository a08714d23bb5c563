"""An engine that hangs, or is restarted: calls go on as long as there is something to call."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarmfn.provider.swarm import SwarmProvider
from swarmfn.wire.errors import EngineUnavailable
from tests.contract.provider.calls import SteadyCalls, call, call_function, wait_for_replicas
from tests.contract.provider.swarm_engine import Swarm, SwarmEngine
from tests.support import images
from tests.support.docker_engine import DockerEngine
from tests.support.waiting import wait_until

# docker-py leaves its socket to the garbage collector when it cannot connect.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Those sockets go now, so that no test elsewhere hears about them."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def frail_swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    """An engine that may be hurt."""
    with DockerEngine("frail", tmp_path_factory.mktemp("frail"), fill=images.with_base) as docker_engine:
        docker_engine.init_swarm()
        swarm = Swarm(docker_engine)
        yield swarm
        swarm.close()


@pytest.fixture
def engine(frail_swarm: Swarm) -> Iterator[SwarmEngine]:
    engine = SwarmEngine(frail_swarm)
    yield engine
    engine.destroy()


def test_calls_go_on_while_the_engine_hangs_and_changes_are_refused_in_time(engine: SwarmEngine) -> None:
    provider = engine.provider
    provider.deploy(engine.identifying("who"))
    provider.scale("who", 2)
    wait_for_replicas(provider, "who", 2)
    before = provider.table()
    changes: list[Callable[[], None]] = [
        lambda: provider.deploy(engine.echo("echo")),
        lambda: provider.scale("who", 3),
        lambda: provider.remove("who"),
    ]
    engine.swarm.engine.suspend()
    try:
        with SteadyCalls(engine, "who") as calls:
            for change in changes:
                with pytest.raises(EngineUnavailable, match="no answer"):
                    change()
                assert provider.table() == before
        assert calls.failures == []
        assert provider.get("who").available_replicas == 2
        told: list[object] = []
        provider.watch(told.append)()
        provider.watch(told.append)
        wait_until(lambda: told)
    finally:
        engine.swarm.engine.resume()
    wait_until(lambda: _scaled(provider, 3))
    wait_for_replicas(provider, "who", 3)


def _scaled(provider: SwarmProvider, replicas: int) -> bool:
    """What was asked for while the engine hung may have been done afterwards, so that this is not an error."""
    try:
        provider.scale("who", replicas)
    except EngineUnavailable:
        return False
    return True


def test_an_engine_that_is_killed_and_started_again_brings_the_table_back(
    engine: SwarmEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    provider = engine.provider
    provider.deploy(engine.identifying("who"))
    provider.scale("who", 2)
    before = {call(engine, address).body for address in wait_for_replicas(provider, "who", 2)}
    table = provider.table()
    engine.swarm.engine.kill()
    with pytest.raises(EngineUnavailable):
        provider.scale("who", 1)
    assert provider.table() == table
    engine.swarm.engine.start()
    engine.swarm.leave()

    def all_new() -> bool:
        addresses = provider.table()["who"].addresses
        answers = {call(engine, address).body for address in addresses}
        return len(answers) == 2 and not answers & before

    wait_until(all_new, timeout=60)
    assert {record.event for record in caplog.records if hasattr(record, "event")} >= {"engine_lost", "engine_back"}
    # Changes are heard of again, too, not only found by the look that comes every second.
    provider.deploy(engine.answering("greet", "hello"))
    assert call_function(engine, "greet").body == "hello"


def test_a_provider_needs_an_engine_that_manages_a_swarm(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="no answer"):
        SwarmProvider(f"unix://{tmp_path}/docker.sock", 60.0, "gateway:8080")
    with DockerEngine("loner", tmp_path / "engine") as loner, pytest.raises(EngineUnavailable, match="not a manager"):
        SwarmProvider(loner.url, 60.0, "gateway:8080")
