"""Finding out why functions have no healthy replica, beside the table, which must not wait for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from swarmfn.provider.swarm.deployed import Deployed
from swarmfn.provider.swarm.diagnosis import Failure
from swarmfn.provider.swarm.engine_api import EngineApi, EngineRefused
from swarmfn.provider.swarm.log_frames import last_line, unframed
from swarmfn.provider.swarm.task_history import TaskHistory
from swarmfn.provider.swarm.tasks import Task, latest_failure, read_tasks, what_runs
from swarmfn.repeated_failures import RepeatedFailures
from swarmfn.wire.errors import EngineUnavailable

logger = logging.getLogger(__name__)

_LOG_TAIL = 5
_SOON = 0.08
"""Seconds between looks where Swarm keeps no tasks that ended: it deletes them a quarter of a second after that."""

_AT_FIRST = 5.0
"""For so long it is taken to be so, while it is not known."""

_HASTY_LOG = 0.5
_REMEMBERED = 60.0


class Investigator:
    """Looks for the last failure of each function in trouble, on a thread of its own.

    `failures` is the latest finding, by function. `on_news` is called when it has changed.
    """

    def __init__(self, api: EngineApi, pause: float, log_limit: float, on_news: Callable[[], None]) -> None:
        self._api = api
        self._pause = pause
        self._log_limit = log_limit
        self._on_news = on_news
        self._troubled: Mapping[str, Deployed] = {}
        self._settled: dict[str, str] = {}
        self._surprises: dict[str, RepeatedFailures] = {}
        self._history = TaskHistory()
        # By function: its update, and when it got into trouble.
        self._began: dict[str, tuple[str, float]] = {}
        self._wake = threading.Event()
        self._has_work = threading.Event()
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="swarm-investigator", daemon=True)
        self.failures: Mapping[str, Failure] = {}

    def start(self) -> None:
        self._thread.start()

    def look_into(self, troubled: Mapping[str, Deployed]) -> None:
        """From now on these functions are in trouble, and no others."""
        before, now = self._began, time.monotonic()
        self._began = {
            name: before[name]
            if name in before and before[name][0] == deployed.update.started
            else (deployed.update.started, now)
            for name, deployed in troubled.items()
        }
        self._troubled = dict(troubled)
        if any(self._began[name] != before.get(name) for name in troubled):
            self._wake.set()
        self.failures = {name: failure for name, failure in self.failures.items() if name in troubled}
        if troubled:
            self._has_work.set()
        else:
            self._has_work.clear()

    def close(self) -> None:
        self._is_closing.set()
        self._has_work.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(self._log_limit)

    def _run(self) -> None:
        while not self._is_closing.is_set():
            self._has_work.wait()
            self._wake.clear()
            troubled = self._troubled
            self._surprises = {name: kept for name, kept in self._surprises.items() if name in troubled}
            self._history.keep(troubled)
            for name, deployed in troubled.items():
                if self._is_closing.is_set():
                    return
                self._investigate(name, deployed)
            if not self._is_closing.is_set():
                self._wake.wait(min(self._pause, _SOON) if self._must_hurry() else self._pause)

    def _must_hurry(self) -> bool:
        """Whether something may be found that will not be there for long."""
        failures, now = self.failures, time.monotonic()
        open_cases = [
            name
            for name, deployed in self._troubled.items()
            if not (deployed.update.has_failed or (name in failures and failures[name].task.has_failed))
        ]
        if self._history.forgets_at_once is None:
            return any(now - self._began.get(name, ("", now))[1] < _AT_FIRST for name in open_cases)
        return self._history.forgets_at_once and bool(open_cases)

    def _investigate(self, name: str, deployed: Deployed) -> None:
        try:
            found = self._find(name, deployed)
        except (EngineUnavailable, EngineRefused) as exc:
            logger.debug("cannot find out what is wrong with %s: %s", name, exc)
        except Exception as exc:
            what = f"looking into the trouble of {name}"
            self._surprises.setdefault(name, RepeatedFailures(logger, what, "investigation_failed")).note(exc)
        else:
            self._surprises.pop(name, None)
            if found and found.task.has_failed and deployed.update.has_failed:
                self._settled[name] = deployed.update.started
            if found != self.failures.get(name):
                self._take(name, found)

    def _find(self, name: str, deployed: Deployed) -> Failure | None:
        present, update = self.failures.get(name), deployed.update
        # Of an update that was taken back the first finding counts: what its tasks left is tidied up some time.
        if update.has_failed and present and self._settled.get(name) == update.started:
            return present
        since = update.started if update.is_running or update.has_failed else ""
        tasks = read_tasks(self._api.all_tasks(deployed.service_id))
        failed = latest_failure(task for task in tasks if task.since >= since)
        forgotten = self._history.look(name, tasks, time.monotonic())
        if failed is None:
            # Swarm may have deleted by now what was found earlier, or deletes all too soon.
            found = present if present and present.task.since >= since else None
            # While an update goes on, Swarm itself ends replicas of the previous version.
            is_ours = not update.is_running or (
                forgotten and what_runs(forgotten.template) == what_runs(deployed.template)
            )
            return found or (Failure(self._as_remembered(forgotten)) if forgotten and is_ours else None)
        return present if present and present.task == failed else Failure(failed, self._last_line(failed))

    def _as_remembered(self, forgotten: Task) -> Task:
        """With its end, where the engine here still reports it."""
        status = self._api.exit_status(forgotten.id, _REMEMBERED)
        if status is None:
            return forgotten
        error = f"task: non-zero exit ({status})" if status else ""
        return replace(forgotten, state="failed" if status else "complete", error=error, exit_code=status)

    def _take(self, name: str, found: Failure | None) -> None:
        failures = {**self.failures}
        failures.pop(name, None)
        if found is not None:
            failures[name] = found
        self.failures = failures
        self._on_news()

    def _last_line(self, task: Task) -> str:
        """What its container wrote last; "" if it never had one."""
        if task.state == "rejected":
            return ""
        try:
            # The log of a task that is deleted meanwhile has no end.
            limit = self._log_limit if self._history.forgets_at_once is False else _HASTY_LOG
            return last_line(unframed(self._api.task_logs(task.id, _LOG_TAIL, limit)))
        except EngineRefused as exc:
            logger.debug("the log of the task %s is gone: %s", task.id, exc)
            return ""
