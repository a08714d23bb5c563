"""Which tests run in one process, one after the other, when several processes run tests: those of a file, and those
that share something expensive.

A Docker engine with a swarm takes some seconds to start, a platform on it most of a minute: each is started in as few
processes as keeps all of them busy. Most of that time is waiting: no group should take much longer than the others, or
the end of a run is one process that waits.
"""

from __future__ import annotations

ON_DOCKER_ENGINE = {
    "the stack's commands": (
        "tests/integration/swarm/test_commands.py",
        "tests/integration/swarm/test_engine_client.py",
        "tests/integration/swarm/test_log_view.py",
        "tests/integration/swarm/test_stored_functions.py",
    ),
    "the stack, down and up": (
        "tests/integration/swarm/test_down_and_up.py",
        "tests/integration/swarm/test_examples.py",
    ),
    "deployments": (
        "tests/integration/swarm/test_deployment.py",
        "tests/integration/swarm/test_ordinary_keys_on_swarm.py",
        "tests/integration/swarm/test_images.py",
        "tests/integration/swarm/test_observe.py",
        "tests/integration/support/test_docker_engine.py",
    ),
    "images of functions": (
        "tests/integration/images/",
        "tests/contract/provider/swarm/test_images.py",
    ),
    "functions": (
        "tests/contract/provider/swarm/test_services.py",
        "tests/contract/provider/swarm/test_socket_proxy.py",
        "tests/contract/provider/swarm/test_trouble.py",
        "tests/contract/provider/test_",
    ),
}

_SHARED = {
    **ON_DOCKER_ENGINE,
    "a platform on Swarm": (
        "tests/fault/swarm/test_kills.py",
        "tests/integration/platform/test_dashboard.py",
        "tests/integration/platform/test_public_reports.py",
        "tests/integration/platform/test_real_input.py",
        "tests/integration/swarm/test_under_load.py",
    ),
    "a swarm of several nodes": (
        "tests/integration/support/test_docker_nodes.py",
        "tests/integration/swarm/test_commands_on_nodes.py",
    ),
    "nodes that are lost": (
        "tests/fault/swarm/test_nodes.py",
        "tests/integration/swarm/test_several_nodes.py",
    ),
    "a platform of processes": (
        "tests/integration/docs/",
        "tests/integration/platform/test_dead_letters.py",
        "tests/integration/platform/test_trouble.py",
    ),
}

_ORDER = (
    "a platform on Swarm",
    "functions",
    "a swarm of several nodes",
    "nodes that are lost",
    "tests/integration/stack/test_starts_and_ends.py",
    "tests/integration/stack/test_commands.py",
    "a platform of processes",
    "tests/fault/test_",
    "deployments",
    "the stack's commands",
    "the stack, down and up",
    "images of functions",
    "tests/contract/provider/swarm/test_outages.py",
    "tests/fault/",
    "tests/integration/",
    "tests/browser/",
    "tests/contract/",
    "tests/unit/",
)
"""What takes longest begins first, but only half of the processes begin with an engine: Docker looks after the health
of every container every few seconds, and the more wait for a processor at the same time, the longer it does."""


def group_of(nodeid: str) -> str:
    """What the test shares with others: the name of something expensive, else its own file."""
    file = nodeid.partition("::")[0]
    return next((group for group, files in _SHARED.items() if file.startswith(files)), file)


def rank(nodeid: str) -> int:
    """The place of the test's group in the order of starting, from 0."""
    group = group_of(nodeid)
    matching = (place for place, start in enumerate(_ORDER) if group.startswith(start))
    return next(matching, len(_ORDER))
