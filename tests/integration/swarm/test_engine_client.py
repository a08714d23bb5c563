"""Finding a real engine and its swarm."""

from __future__ import annotations

import contextlib

from stack.swarm.engine_client import connect, init_swarm, require_manager, swarm_state
from tests.support.docker_engine import DockerEngine


def test_an_engine_that_answers_is_used_in_its_own_version(docker_engine: DockerEngine) -> None:
    with contextlib.closing(connect({"DOCKER_HOST": docker_engine.url})) as client:
        assert client.api.api_version == client.version()["ApiVersion"]
        assert client.api.timeout == 60


def test_a_manager_is_ready_and_making_it_one_again_changes_nothing(docker_engine: DockerEngine) -> None:
    with contextlib.closing(connect({"DOCKER_HOST": docker_engine.url})) as client:
        state = require_manager(client)
        assert state.is_ready
        assert state.node_id in {node.id for node in client.nodes.list()}
        assert init_swarm(client) == state == swarm_state(client)
