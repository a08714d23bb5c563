"""The supervisor: the services it keeps running, and what the command may ask of it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stack.embedded.child import describe_end
from stack.embedded.log_files import trim_logs
from stack.embedded.records import Records
from stack.embedded.spec import ServiceSpec
from stack.embedded.supervised import Supervised

log = logging.getLogger("supervisor")
_LOG_CHECK_INTERVAL = 60.0


class Supervisor:
    """Runs services in the order they were applied in, and stops them in the reverse order.

    Make it inside a running event loop. `done` is set when it is to end.
    """

    def __init__(self, records: Records, logs: Path, code: str) -> None:
        self._records = records
        self._logs = logs
        self._code = code
        self._since = time.time()
        self._services: dict[str, Supervised] = {}
        self._changing = asyncio.Lock()
        self.done = asyncio.Event()
        for spec, process in records.running():
            self._services[spec.name] = Supervised(spec, records, adopt=process)

    async def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to one request. Raises KeyError or TypeError for one that makes no sense."""
        match request["command"]:
            case "status":
                return self._status()
            case "apply":
                await self._apply(ServiceSpec.from_json(request["spec"]))
            case "stop":
                await self._stop(request["name"])
            case "leave":
                await self._leave()
            case "shutdown":
                await self.shutdown()
            case unknown:
                raise KeyError(f"unknown command {unknown!r}")
        return self._status()

    async def shutdown(self) -> None:
        """Stops every service, the last applied first, then ends."""
        async with self._changing:
            for service in reversed(list(self._services.values())):
                await service.stop()
            self._services.clear()
            self.done.set()

    def reap(self) -> None:
        """Collects every child that has ended; call it on SIGCHLD.

        Orphans count: this process is their subreaper, as the first process of a container often reaps nobody.
        """
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            self._reap_one(ended.si_pid)

    async def look_after_logs(self) -> None:
        """Keeps log files from filling the disk; runs until cancelled."""
        while True:
            trim_logs(self._logs)
            await asyncio.sleep(_LOG_CHECK_INTERVAL)

    def _reap_one(self, pid: int) -> None:
        children = (service.child for service in self._services.values() if service.child is not None)
        child = next((child for child in children if child.process.pid == pid), None)
        if child is not None:
            # Before it is reaped: its number cannot mean another group yet.
            child.process.signal_group(signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if child is not None:
            child.end(describe_end(status))

    async def _apply(self, spec: ServiceSpec) -> None:
        async with self._changing:
            present = self._services.get(spec.name)
            if present is not None:
                if present.spec == spec:
                    return
                await present.stop()
            # A replaced service keeps its place in the order.
            self._services[spec.name] = Supervised(spec, self._records)
        # One turn of the loop: the process is there when the reply is sent.
        await asyncio.sleep(0)

    async def _stop(self, name: str) -> None:
        async with self._changing:
            if name in self._services:
                await self._services[name].stop()
                del self._services[name]

    async def _leave(self) -> None:
        async with self._changing:
            for service in self._services.values():
                await service.leave()
            self.done.set()

    def _status(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "code": self._code,
            "since": self._since,
            "services": [service.status() for service in self._services.values()],
        }
