"""Parts of a platform on Swarm are killed while calls are on their way: it comes back by itself and loses none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.support.steady_load import SteadyLoad
from tests.support.swarm_platform import SwarmPlatform
from tests.support.waiting import wait_until

NAME = "victim"


@pytest.fixture
def platform(swarm_platform: SwarmPlatform) -> Iterator[SwarmPlatform]:
    """Has a function with two replicas whose calls take a while."""
    platform = swarm_platform
    platform.deploy(NAME, image=platform.image_of("echo"), envProcess="cat", labels={"com.openfaas.scale.min": "2"})
    platform.wait_for_replicas(NAME, 2)
    yield platform
    platform.remove(NAME)


def answers(platform: SwarmPlatform) -> bool:
    return requests.post(f"{platform.url}/function/{NAME}", data=b"hello", timeout=10).text == "hello"


@pytest.mark.parametrize("service", [NAME, "worker", "gateway", "redis"])
def test_a_killed_container_costs_no_accepted_call(platform: SwarmPlatform, service: str) -> None:
    with SteadyLoad(platform, NAME) as load:
        load.wait_for_calls(50)
        platform.kill_container(service)
        wait_until(lambda: answers(platform), 90, "calls are answered again", every=0.2)
        load.wait_for_calls(100, timeout=90)
        count = len(load.accepted)
        wait_until(lambda: len(load.accepted) > count + 20, 90, "calls are accepted again")
        load.assert_all_accepted_succeed(timeout=180)
        if service in ("worker", "redis"):
            assert not load.failures(), load.failures()[:5]
    platform.wait_for_replicas(NAME, 2)


def test_a_killed_engine_comes_back_with_everything(platform: SwarmPlatform) -> None:
    with SteadyLoad(platform, NAME) as load:
        load.wait_for_calls(50)
        load.stop_sending()
        platform.engine.kill()
        platform.engine.start()
        wait_until(lambda: answers(platform), 180, "calls are answered again", every=0.5)
        load.assert_all_accepted_succeed(timeout=180)
    platform.wait_for_replicas(NAME, 2)
