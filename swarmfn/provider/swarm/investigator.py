"""Finding out why functions have no healthy replica, beside the table, which must not wait for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from swarmfn.provider.swarm.deployed import Deployed
from swarmfn.provider.swarm.engine_api import EngineApi, EngineRefused
from swarmfn.provider.swarm.log_frames import last_line, unframed
from swarmfn.provider.swarm.problems import Failure
from swarmfn.provider.swarm.tasks import Task, latest_failure, read_tasks
from swarmfn.recurring import Recurring
from swarmfn.wire.errors import EngineUnavailable

logger = logging.getLogger(__name__)

_LOG_TAIL = 5


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
        self._surprises: dict[str, Recurring] = {}
        self._has_work = threading.Event()
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="swarm-investigator", daemon=True)
        self.failures: Mapping[str, Failure] = {}

    def start(self) -> None:
        self._thread.start()

    def look_into(self, troubled: Mapping[str, Deployed]) -> None:
        """From now on these functions are in trouble, and no others."""
        self._troubled = dict(troubled)
        self.failures = {name: failure for name, failure in self.failures.items() if name in troubled}
        if troubled:
            self._has_work.set()
        else:
            self._has_work.clear()

    def close(self) -> None:
        self._is_closing.set()
        self._has_work.set()
        if self._thread.ident is not None:
            self._thread.join(self._log_limit)

    def _run(self) -> None:
        while not self._is_closing.is_set():
            self._has_work.wait()
            troubled = self._troubled
            self._surprises = {name: kept for name, kept in self._surprises.items() if name in troubled}
            for name, deployed in troubled.items():
                if self._is_closing.is_set():
                    return
                self._investigate(name, deployed)
            self._is_closing.wait(self._pause)

    def _investigate(self, name: str, deployed: Deployed) -> None:
        try:
            found = self._find(name, deployed)
        except (EngineUnavailable, EngineRefused) as exc:
            logger.debug("cannot find out what is wrong with %s: %s", name, exc)
        except Exception as exc:
            what = f"looking into the trouble of {name}"
            self._surprises.setdefault(name, Recurring(logger, what, "investigation_failed")).note(exc)
        else:
            self._surprises.pop(name, None)
            if found and deployed.update.has_failed:
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
        if failed is None or (present and present.task == failed):
            return present if failed else None
        return Failure(failed, self._last_line(failed))

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
        return last_line(unframed(self._api.task_logs(task.id, _LOG_TAIL, self._log_limit)))
