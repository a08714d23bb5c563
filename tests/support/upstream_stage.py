"""Scenarios with one Upstream and one scripted server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from swarmfn.upstream import Upstream
from tests.support.scripted_server import Script, ScriptedServer

Scenario = Callable[[Upstream, ScriptedServer], Awaitable[None]]
Play = Callable[[Scenario, Script], None]
Runner = Callable[[Coroutine[Any, Any, None]], None]


def stage(runner: Runner) -> Play:
    """A function that runs a scenario against a script; it fails when something is left behind or takes a minute."""

    async def on_stage(scenario: Scenario, script: Script) -> None:
        async with asyncio.timeout(60), ScriptedServer(script) as server:
            upstream = Upstream(idle_timeout=600)  # so that no connection closes just for being idle
            try:
                await scenario(upstream, server)
            finally:
                await upstream.close()
            assert upstream.open_connections == 0

    def play(scenario: Scenario, script: Script) -> None:
        runner(on_stage(scenario, script))

    return play
