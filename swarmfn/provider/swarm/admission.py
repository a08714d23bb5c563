"""Letting a replica into the table only once it accepts connections.

Swarm calls a task running when its health check has passed, but at once if its image has none. So every replica is
connected to once before its first call.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from swarmfn.provider.swarm.service_spec import FUNCTION_PORT
from swarmfn.provider.swarm.tasks import Task

Connect = Callable[[str, int, float], socket.socket]
"""Opens a connection to address and port within that many seconds, or raises OSError."""

_AT_A_TIME = 16


def connect_directly(address: str, port: int, timeout: float) -> socket.socket:
    return socket.create_connection((address, port), timeout)


class Admission:
    """`on_news` is called, on a thread of this object, when a replica was admitted later than `check` waited."""

    def __init__(self, connect: Connect, connect_timeout: float, patience: float, on_news: Callable[[], None]) -> None:
        self._connect = connect
        self._connect_timeout = connect_timeout
        self._patience = patience
        self._on_news = on_news
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._trying: set[str] = set()
        self._late: set[str] = set()
        self._admitted: set[str] = set()
        self._threads = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="swarm-admission")

    def check(self, tasks: Iterable[Task]) -> None:
        """Tries those of `tasks` that are not admitted, and waits a moment for the new ones. Forgets all others."""
        present = {task.id: task for task in tasks}
        with self._lock:
            self._admitted &= present.keys()
            new = present.keys() - self._known
            self._known = set(present)
            due = [task for task in present.values() if task.id not in self._admitted | self._trying]
            self._trying.update(task.id for task in due)
        attempts = self._begin(due)
        wait([attempt for task_id, attempt in attempts.items() if task_id in new], self._patience)
        with self._lock:
            self._late = set(self._trying)

    def _begin(self, due: list[Task]) -> dict[str, Future[None]]:
        attempts: dict[str, Future[None]] = {}
        try:
            for task in due:
                attempts[task.id] = self._threads.submit(self._try, task)
        except BaseException:
            # No thread to be had, say: the next check tries those again.
            with self._lock:
                self._trying -= {task.id for task in due} - attempts.keys()
            raise
        return attempts

    def is_admitted(self, task: Task) -> bool:
        return task.id in self._admitted

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _try(self, task: Task) -> None:
        is_accepting = self._accepts(task)
        with self._lock:
            self._trying.discard(task.id)
            if is_accepting:
                self._admitted.add(task.id)
            is_late = task.id in self._late
        if is_accepting and is_late:
            self._on_news()

    def _accepts(self, task: Task) -> bool:
        try:
            self._connect(task.ip, FUNCTION_PORT, self._connect_timeout).close()
        except OSError:
            return False
        return True
