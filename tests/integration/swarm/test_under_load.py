"""A function is scaled, updated and removed while callers go on calling it, synchronously and from the queue."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from tests.support.steady_load import Outcome, SteadyLoad
from tests.support.swarm_platform import SwarmPlatform

NAME = "shifty"
HOSTNAME = "cat /etc/hostname"
"""A container's own: tells which replica answered."""


@pytest.fixture
def platform(swarm_platform: SwarmPlatform) -> Iterator[SwarmPlatform]:
    """Has a function that answers with its replica's name."""
    swarm_platform.deploy(NAME, image=swarm_platform.image_of("echo"), envProcess=HOSTNAME)
    yield swarm_platform
    swarm_platform.remove(NAME)


def replicas_in(outcomes: Sequence[Outcome]) -> Counter[str]:
    return Counter(outcome.text for outcome in outcomes if outcome.status == 200)


def wait_until_replaced(load: SteadyLoad, old: Counter[str]) -> Counter[str]:
    """The replicas that answer once none of the old ones does."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        now = replicas_in(load.wait_for_calls(30))
        if now and not set(now) & set(old):
            return now
    raise AssertionError(f"previous replicas still answer: {old}")


def test_no_call_fails_while_a_function_is_scaled_and_updated(platform: SwarmPlatform) -> None:
    with SteadyLoad(platform, NAME) as load:
        first = replicas_in(load.wait_for_calls(30))
        assert len(first) == 1

        platform.scale(NAME, 3)
        shares = replicas_in(load.wait_for_calls(300))
        assert len(shares) == 3
        assert min(shares.values()) >= 300 / 3 / 3, f"a replica got less than a third of its share: {shares}"

        body = {"service": NAME, "envProcess": HOSTNAME}
        image = platform.image_of("wordcount")
        assert platform.system("PUT", "/system/functions", json={**body, "image": image}).status_code == 202
        second = wait_until_replaced(load, shares)

        environment = {"greeting": "hello"}
        changed = {**body, "image": image, "envVars": environment}
        assert platform.system("PUT", "/system/functions", json=changed).status_code == 202
        wait_until_replaced(load, second)
        platform.wait_for_replicas(NAME, 3)

        platform.scale(NAME, 1)
        load.wait_for_calls(50)
        assert not load.failures(), load.failures()[:5]
        load.assert_all_accepted_succeed()


def test_a_function_without_replicas_says_so_and_its_queue_waits(platform: SwarmPlatform) -> None:
    with SteadyLoad(platform, NAME, rate=5) as load:
        load.wait_for_calls(20)
        stopped_at = time.monotonic()
        platform.scale(NAME, 0)
        without = load.wait_for_calls(20)
        assert {outcome.status for outcome in without} == {503}
        assert all(outcome.is_ours for outcome in without)
        platform.scale(NAME, 1)
        load.wait_for_calls(1)
        back_at = time.monotonic()
        load.wait_for_calls(50)
        assert not load.failures(until=stopped_at), load.failures(until=stopped_at)[:5]
        assert not load.failures(since=back_at), load.failures(since=back_at)[:5]
        # While it has no replica: refused with the reason, never cut off.
        assert {outcome.status for outcome in load.failures()} == {503}
        load.assert_all_accepted_succeed()


def test_a_removed_function_is_unknown_and_calls_under_way_are_finished(platform: SwarmPlatform) -> None:
    with SteadyLoad(platform, NAME) as load:
        load.wait_for_calls(30)
        load.assert_all_accepted_succeed()
        platform.remove(NAME)
        deadline = time.monotonic() + 30
        while {outcome.status for outcome in load.wait_for_calls(10)} != {404}:
            assert time.monotonic() < deadline, load.outcomes[-5:]
        assert {outcome.status for outcome in load.outcomes} <= {200, 404}, load.failures()[:5]
