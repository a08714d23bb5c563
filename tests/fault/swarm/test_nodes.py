"""Three nodes: the platform is spread over them, and one of them goes without a word and comes back."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support import images
from tests.support.docker_engine import DockerEngine
from tests.support.docker_nodes import DockerNodes
from tests.support.registry import Registry
from tests.support.steady_load import Outcome, SteadyLoad
from tests.support.swarm_platform import SwarmPlatform
from tests.support.waiting import wait_until

NAME = "spread"


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[DockerNodes]:
    with DockerNodes(tmp_path / "nodes", heartbeat=2, pulls=True, first=images.with_ours) as nodes:
        yield nodes


@pytest.fixture
def platform(nodes: DockerNodes, tmp_path: Path) -> Iterator[SwarmPlatform]:
    """Images from a registry, three workers, and a function of six replicas that answers with its replica's name."""
    variables = {"redis_appendfsync": "always", "worker_replicas": "3"}
    with Registry(tmp_path / "registry", nodes.network) as registry:
        platform = SwarmPlatform(nodes.manager, tmp_path / "state", **variables)
        platform.up("--registry", registry.address)
        platform.deploy(NAME, image=platform.image_of("echo"), envProcess="cat /etc/hostname")
        platform.scale(NAME, 6)
        yield platform


def replicas_on(engine: DockerEngine) -> set[str]:
    """The host names of the function's containers on one node."""
    with contextlib.closing(engine.client()) as client:
        label = f"com.docker.swarm.service.name={NAME}"
        return {found.id[:12] for found in client.containers.list(filters={"label": label}, ignore_removed=True)}


def answering(outcomes: Sequence[Outcome]) -> set[str]:
    return {outcome.text for outcome in outcomes if outcome.status == 200}


def test_a_node_is_lost_under_load_and_used_again_when_it_is_back(platform: SwarmPlatform, nodes: DockerNodes) -> None:
    doomed = nodes.engines[2]
    with SteadyLoad(platform, NAME) as load:
        answers = answering(load.wait_for_calls(200))
        assert all(answers & replicas_on(engine) for engine in nodes), "calls reach every node"
        assert not load.failures(), load.failures()[:5]

        doomed.lose()
        nodes.wait_for(doomed, "down")
        platform.wait_for_replicas(NAME, 6)
        load.assert_all_accepted_succeed(timeout=180)
        # What was under way there is lost for a caller who waits: answered as that, never left hanging.
        assert {outcome.status for outcome in load.failures()} <= {502, 504}, Counter(
            outcome.status for outcome in load.failures()
        )

        doomed.start()
        nodes.wait_for(doomed, "ready")
        platform.scale(NAME, 12)

        def used_again() -> set[str]:
            return answering(load.wait_for_calls(50)) & replicas_on(doomed)

        wait_until(used_again, 60, "replicas of the node that is back answer")
