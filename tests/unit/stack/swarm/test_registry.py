"""Which image the queue's server has, as far as that needs no engine."""

from __future__ import annotations

import pytest

from stack.swarm.registry import choose_redis_image, is_same_repository

DIGEST = "sha256:" + "0" * 64


def choose(environ: dict[str, str], present: str) -> str:
    def say(line: str) -> None:
        raise AssertionError(f"nothing to say: {line}")

    return choose_redis_image(None, environ, "swarmfn:new", present, say)


@pytest.mark.parametrize("present", ["", "redis:7", "swarmfn:old"])
def test_the_variable_decides(present: str) -> None:
    assert choose({"REDIS_IMAGE": "valkey/valkey:8"}, present) == "valkey/valkey:8"


@pytest.mark.parametrize("present", ["swarmfn:old", "example.org:5000/team/swarmfn:old@" + DIGEST, DIGEST])
def test_a_stack_that_runs_its_own_server_goes_on_with_it_in_the_new_version(present: str) -> None:
    assert choose({}, present) == "swarmfn:new"


@pytest.mark.parametrize("present", ["redis:7", "redis:7@" + DIGEST, "valkey/valkey:8"])
def test_a_stack_that_runs_redis_goes_on_with_that(present: str) -> None:
    assert choose({}, present) == present


def test_versions_of_one_image_are_told_from_other_images() -> None:
    assert is_same_repository("swarmfn:1", "swarmfn")
    assert is_same_repository("localhost:5000/swarmfn:1", "swarmfn:2")
    assert not is_same_repository("swarmfn/watchdog:1", "swarmfn:1")
    assert not is_same_repository("redis:7", "swarmfn:7")
