"""How a service of the embedded engine is started again."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stack.embedded import supervised as module
from stack.embedded.spec import ServiceSpec
from stack.embedded.supervised import HEALTHY_AFTER, LONGEST, Supervised


def pauses_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runs: list[float]) -> list[float]:
    """The pauses after runs of this many seconds."""
    now = 1000.0
    pauses: list[float] = []
    left = list(runs)

    async def scenario() -> None:
        done = asyncio.Event()

        def launch(spec: object, records: object) -> Any:
            nonlocal now
            now += left.pop(0)
            raise OSError("the disk is full")

        async def pause(self: Supervised, seconds: float) -> None:
            pauses.append(seconds)
            if not left:
                self._stopping.set()
                done.set()

        monkeypatch.setattr(module, "launch", launch)
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now, time=lambda: now))
        monkeypatch.setattr(Supervised, "_pause", pause)
        records: Any = None  # nothing was started that could be on record
        service = Supervised(ServiceSpec("web", ("false",), str(tmp_path), str(tmp_path / "log")), records)
        await done.wait()
        await service._task
        assert service.restarts == len(runs)
        assert "the disk is full" in service.last_end

    asyncio.run(scenario())
    return pauses


def test_the_pauses_grow_while_a_service_keeps_ending_early(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pauses = pauses_of(monkeypatch, tmp_path, [0.1] * 9)
    assert all(later == min(LONGEST, 2 * earlier) for earlier, later in pairwise(pauses))
    assert (pauses[0], pauses[-1]) == (0.2, LONGEST)


def test_a_service_that_has_run_for_a_while_is_started_again_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert pauses_of(monkeypatch, tmp_path, [0.1, 0.1, 0.1, HEALTHY_AFTER, 0.1]) == [0.2, 0.4, 0.8, 0.2, 0.4]
