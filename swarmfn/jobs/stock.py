"""Stored jobs name `swarmfn.jobs.stock.run` as what an `rq worker` calls, so it has to be found here."""

from __future__ import annotations

from swarmfn.jobs.plain_rq import run

__all__ = ["run"]
