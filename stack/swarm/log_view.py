"""What `logs` prints on a swarm: the last lines of services and functions from every node, then the new ones."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import docker

from stack.errors import StackError
from stack.swarm.engine_api import api_of
from stack.swarm.engine_client import GONE, engine_errors
from stack.swarm.function_services import function_name, function_services
from stack.swarm.log_lines import LineReader, LogLine
from swarmfn.provider.swarm.documents import ServiceDocument
from swarmfn.wire.swarm_labels import STACK_LABEL
from swarmfn.wire.visible import visible

_GATHER_TIMEOUT = 15.0
"""Seconds for what there is already. A node that hangs must not hide what the others have."""

_LOOK_INTERVAL = 2.0
_OVERLAP = 1.0
_SHORT_ID = 12

Write = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """A service whose log is shown; `label` begins its lines, followed by the replica's number."""

    id: str
    label: str
    has_terminal: bool = False


class _Gathered:
    """The lines of one service that there were at first, so that following goes on after them."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []

    def since(self) -> float:
        """A time before which nothing new will be; 0 where there was nothing. Two streams of one task are written
        down a little out of order."""
        newest: dict[str, str] = {}
        for line in self.lines:
            newest[line.task] = max(line.time, newest.get(line.task, ""))
        newest.pop("", None)
        return max(0.0, _seconds(min(newest.values())) - _OVERLAP) if newest else 0.0

    def is_old(self) -> Callable[[LogLine], bool]:
        """Tells lines that came again, or are older than what was asked for."""
        known = set(self.lines)
        first: dict[str, str] = {}
        for line in self.lines:
            first[line.task] = min(line.time, first.get(line.task, line.time))
        return lambda line: line in known or (line.task in first and line.time < first[line.task])


def logs(
    client: docker.DockerClient, stack: str, name: str | None, lines: int, is_following: bool, write: Write
) -> None:
    """Writes the last `lines` lines of a service or a function, in the order of their times; of every service without
    a name. With `is_following` new lines too, until the services are gone. Raises StackError for an unknown name, which
    lists the names there are."""
    viewer = LogViewer(client, log_sources(client, stack, name), write)
    viewer.show(lines)
    if is_following:
        viewer.follow()


def log_sources(client: docker.DockerClient, stack: str, name: str | None) -> list[Source]:
    """The services that `name` means. Raises StackError, which lists the names there are."""
    with engine_errors("list the services"):
        services = api_of(client).services(filters={"label": f"{STACK_LABEL}={stack}"})
    own = {service["Spec"]["Name"].removeprefix(f"{stack}_"): service for service in services}
    if name is None:
        if not own:
            raise StackError(f'there are no logs: nothing of the stack "{stack}" is running in this swarm.')
        return [_source(label, service) for label, service in sorted(own.items())]
    known = {**{function_name(service): service for service in function_services(client, stack)}, **own}
    if name not in known:
        raise StackError(f'there is no log of "{name}". There are: {", ".join(sorted(known)) or "none yet"}.')
    return [_source(name, known[name])]


class LogViewer:
    """The logs of some services, each line with its service's name and its replica's number."""

    def __init__(self, client: docker.DockerClient, sources: Sequence[Source], write: Write) -> None:
        self._client = client
        self._sources = sources
        self._write = write
        self._gathered = {source.id: _Gathered() for source in sources}
        self._slots: dict[str, str] = {}

    def show(self, count: int) -> None:
        """The last `count` lines of each service, all of them in the order of their times."""

        def take(source: Source, line: LogLine) -> None:
            self._gathered[source.id].lines.append(line)

        deadline = time.monotonic() + _GATHER_TIMEOUT
        for source in self._read(take, lambda: time.monotonic() > deadline, tail=max(count, 1)):
            take(source, LogLine("", "", "a node does not send its part of the log"))
        chosen = [
            (line, source)
            for source in self._sources
            for line in (sorted(self._gathered[source.id].lines)[-count:] if count > 0 else [])
        ]
        for line, source in sorted(chosen, key=lambda pair: pair[0]):
            self._print(source, line)

    def follow(self) -> None:
        """New lines as they come, until the services are gone."""
        is_old = {source.id: self._gathered[source.id].is_old() for source in self._sources}

        def take(source: Source, line: LogLine) -> None:
            if not is_old[source.id](line):
                self._print(source, line)

        self._read(take, self._are_gone, follow=True)

    def _read(
        self, take: Callable[[Source, LogLine], None], is_enough: Callable[[], bool], **options: Any
    ) -> set[Source]:
        """Reads every service's log, each on a thread, and hands the lines over on this one.

        Returns when all have ended, or when nothing comes and it `is_enough`: the services that had not ended then.
        """
        arrived: queue.Queue[tuple[Source, LogLine | None]] = queue.Queue()
        for source in self._sources:
            threading.Thread(target=self._stream, args=(source, arrived, options), daemon=True).start()
        missing = set(self._sources)
        while missing:
            try:
                source, line = arrived.get(timeout=_LOOK_INTERVAL)
            except queue.Empty:
                if is_enough():
                    break
                continue
            if line is None:
                missing.discard(source)
            else:
                take(source, line)
        return missing

    def _are_gone(self) -> bool:
        """Whether no service is there any more: an engine does not end their logs then."""
        try:
            present = {service["ID"] for service in api_of(self._client).services()}
        except GONE:
            # The streams end too when the engine has.
            return False
        return present.isdisjoint(source.id for source in self._sources)

    def _stream(
        self, source: Source, arrived: queue.Queue[tuple[Source, LogLine | None]], options: dict[str, Any]
    ) -> None:
        reader = LineReader(source.has_terminal)
        try:
            chunks = api_of(self._client).service_logs(
                source.id,
                details=True,
                timestamps=True,
                stdout=True,
                stderr=True,
                since=self._gathered[source.id].since(),
                is_tty=source.has_terminal,
                **options,
            )
            for chunk in chunks:
                for line in reader.feed(chunk):
                    arrived.put((source, line))
        except (*GONE, OSError) as exc:
            arrived.put((source, LogLine("", "", f"the log ends here: {exc}")))
        for line in reader.end():
            arrived.put((source, line))
        arrived.put((source, None))

    def _print(self, source: Source, line: LogLine) -> None:
        label = f"{source.label}.{self._slot(source, line.task)}" if line.task else source.label
        self._write(visible(f"{label:<12} | {line.text}"))

    def _slot(self, source: Source, task: str) -> str:
        """The replica's number, which Swarm keeps when it starts a task in another's place."""
        if task not in self._slots:
            try:
                tasks = api_of(self._client).tasks(filters={"service": source.id})
            except GONE:
                tasks = []
            self._slots.update({one["ID"]: str(one.get("Slot") or one.get("NodeID", "")[:_SHORT_ID]) for one in tasks})
            # Swarm forgets old tasks before their logs are gone.
            self._slots.setdefault(task, task[:_SHORT_ID])
        return self._slots[task]


def _source(label: str, service: ServiceDocument) -> Source:
    container = service["Spec"]["TaskTemplate"].get("ContainerSpec") or {}
    return Source(service["ID"], label, bool(container.get("TTY")))


def _seconds(timestamp: str) -> float:
    # Microseconds, rounded down, are enough: what was shown already is known by its time.
    return datetime.fromisoformat(timestamp[:26] + "+00:00").timestamp()
