"""Why a function has no healthy replica, in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from swarmfn.provider.starting import getting_ready
from swarmfn.provider.swarm.deployed import Deployed
from swarmfn.provider.swarm.tasks import Task, what_runs
from swarmfn.wire.logs import sentence_of

_EXIT = re.compile(r"task: non-zero exit \((\d+)\)(?:: (.*))?")
_LINE_LIMIT = 300
_BY_SIGNAL = 128


@dataclass(frozen=True)
class Failure:
    """A task that failed, and the last line it wrote ("" if none is known)."""

    task: Task
    line: str = ""


def is_in_trouble(deployed: Deployed, serving: Sequence[Task]) -> bool:
    """Whether it is worth looking for failed tasks of the function: an update's may be gone when that has failed."""
    update = deployed.update
    return deployed.replicas != 0 and (update.is_running or update.has_failed or not serving)


def diagnose(
    deployed: Deployed, tasks: Sequence[Task], serving: Sequence[Task], silent: Sequence[Task], failure: Failure | None
) -> str:
    """In a sentence, "" if nothing is wrong. `tasks` are the wanted ones, `serving` those in the table, `silent` those
    that should be there but accept no connection."""
    if deployed.replicas == 0:
        return ""
    why = _why(tasks, silent, failure)
    if deployed.update.has_failed:
        return f"the last update failed and was taken back: {why}" if why else "the last update failed"
    if serving and not deployed.update.is_running:
        return ""
    if not serving:
        return why
    # Where it deletes tasks as soon as they end, Swarm does not notice that an update fails, and goes on for ever.
    return _waiting(tasks) or (describe(failure) if failure and _is_of_update(deployed, failure.task) else "")


def _is_of_update(deployed: Deployed, task: Task) -> bool:
    """Not so for a replica of the previous version, whenever it failed."""
    return task.since >= deployed.update.started and what_runs(task.template) == what_runs(deployed.template)


def _why(tasks: Sequence[Task], silent: Sequence[Task], failure: Failure | None) -> str:
    if waiting := _waiting(tasks):
        return waiting
    if silent:
        return f"a replica runs, but accepts no connection at {silent[0].ip}:8080"
    return describe(failure) if failure else ""


def _waiting(tasks: Sequence[Task]) -> str:
    return next((f"no node can take it: {task.error}" for task in tasks if task.is_waiting), "")


def progress(tasks: Sequence[Task], now: float, limit: float) -> str:
    """What the status says about replicas whose health check has not succeeded yet."""
    since = [began for task in tasks if (began := task.starting_since) is not None]
    return getting_ready(now - min(since), limit) if since else ""


def describe(failure: Failure) -> str:
    """`exited with status 1: its last line`."""
    what = _ending(failure.task)
    line = sentence_of(failure.line.strip())[:_LINE_LIMIT]
    return f"{what}: {line}" if line else what


def _ending(task: Task) -> str:
    if task.state == "complete":
        return "ended with status 0, by itself or because its health check failed"
    match = _EXIT.fullmatch(task.error)
    if match is None:
        return task.error or f"its task ended as {task.state!r}"
    status, reason = int(match.group(1)), match.group(2) or ""
    if "unhealthy" in reason:
        return "its health check failed"
    ending = f"was killed by signal {status - _BY_SIGNAL}" if status > _BY_SIGNAL else f"exited with status {status}"
    return f"{ending} ({reason})" if reason else ending
