"""Every scenario runs on both event loops."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from tests.support.upstream_stage import Play, Runner, stage


@pytest.fixture(params=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Runner:
    return uvloop.run if request.param == "uvloop" else asyncio.run


@pytest.fixture
def play(runner: Runner) -> Play:
    return stage(runner)
