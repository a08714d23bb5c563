"""What every provider promises to those that watch the table."""

from __future__ import annotations

import itertools
import threading

from swarmfn.provider import Provider
from swarmfn.wire.replicas import ReplicaTable
from tests.contract.provider.calls import call, wait_for_replicas
from tests.contract.provider.engines import Engine
from tests.support.waiting import wait_until


def test_a_listener_hears_of_the_present_table_and_of_each_change(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.echo("first"))
    seen: list[ReplicaTable] = []
    unwatch = provider.watch(seen.append)
    wait_until(lambda: seen and "first" in seen[0])

    def heard_of(replicas: int) -> bool:
        return "echo" in seen[-1] and len(seen[-1]["echo"].addresses) == replicas

    provider.deploy(engine.echo("echo"))
    wait_until(lambda: heard_of(1))
    provider.scale("echo", 2)
    wait_until(lambda: heard_of(2))
    provider.scale("echo", 0)
    wait_until(lambda: heard_of(0))
    provider.remove("echo")
    wait_until(lambda: "echo" not in seen[-1])
    assert seen[-1] == provider.table()
    unwatch()


def test_consecutive_tables_differ(engine: Engine, provider: Provider) -> None:
    seen: list[ReplicaTable] = []
    unwatch = provider.watch(seen.append)
    provider.deploy(engine.echo("echo"))
    wait_for_replicas(provider, "echo", 1)
    provider.scale("echo", 2)
    wait_for_replicas(provider, "echo", 2)
    wait_until(lambda: seen[-1] == provider.table())
    unwatch()
    assert all(before != after for before, after in itertools.pairwise(seen))


def test_nothing_is_heard_after_the_watch_has_ended(engine: Engine, provider: Provider) -> None:
    seen: list[ReplicaTable] = []
    others: list[ReplicaTable] = []
    unwatch = provider.watch(seen.append)
    provider.watch(others.append)
    wait_until(lambda: seen)
    unwatch()
    count = len(seen)
    provider.deploy(engine.echo("echo"))
    wait_until(lambda: "echo" in others[-1])
    assert len(seen) == count


def test_listeners_are_told_before_a_replica_stops(engine: Engine, provider: Provider) -> None:
    provider.deploy(engine.echo("echo"))
    (address,) = wait_for_replicas(provider, "echo", 1)
    answers: list[str] = []

    def listener(table: ReplicaTable) -> None:
        if not table["echo"].addresses:
            answers.append(call(engine, address, "still here").body)

    unwatch = provider.watch(listener)
    provider.scale("echo", 0)
    wait_until(lambda: answers)
    unwatch()
    assert answers == ["still here"]


def test_listeners_are_not_called_on_the_callers_thread(engine: Engine, provider: Provider) -> None:
    threads: list[threading.Thread] = []
    unwatch = provider.watch(lambda _table: threads.append(threading.current_thread()))
    provider.deploy(engine.echo("echo"))
    wait_for_replicas(provider, "echo")
    wait_until(lambda: len(threads) >= 2)
    unwatch()
    assert threading.current_thread() not in threads
