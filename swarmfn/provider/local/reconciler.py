"""Makes what is there what is wanted: the state of a local provider, and the one step that works on it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from swarmfn.provider.local import processes
from swarmfn.provider.local.decisions import (
    NO_REPLICAS,
    Action,
    DesiredReplicas,
    Kill,
    Phase,
    Retire,
    Start,
    Terminate,
    Timing,
    decide,
    next_deadline,
)
from swarmfn.provider.local.definitions import Definition, DefinitionStore
from swarmfn.provider.local.function_programs import Program
from swarmfn.provider.local.output import Output
from swarmfn.provider.local.replicas import Replica, Replicas
from swarmfn.provider.local.troubles import Troubles
from swarmfn.provider.local.venvs import Venvs
from swarmfn.provider.starting import getting_ready, next_word
from swarmfn.repeated_failures import RepeatedFailures
from swarmfn.wire.errors import FunctionExists, FunctionNotFound
from swarmfn.wire.functions import FunctionSpec
from swarmfn.wire.replicas import ReplicaTable, Route
from swarmfn.wire.rollouts import Rollout

logger = logging.getLogger(__name__)

_ROTATION_INTERVAL = 10.0


@dataclass(frozen=True)
class Snapshot:
    """Definitions and routes of one moment."""

    definitions: dict[str, Definition]
    table: ReplicaTable


class Reconciler:
    """Belongs to the main loop, `snapshot` excepted. `publish` is called with each table that differs from the last."""

    def __init__(
        self,
        store: DefinitionStore,
        output: Output,
        venvs: Venvs,
        timing: Timing,
        default_exec_timeout: float,
        publish: Callable[[ReplicaTable], None],
    ) -> None:
        self._store = store
        self._output = output
        self._venvs = venvs
        self._timing = timing
        self._default_exec_timeout = default_exec_timeout
        self._publish = publish
        self._definitions = store.load()
        self._troubles = Troubles(output, timing)
        self._removed: set[str] = set()
        self._changed: set[str] = set()
        self._due: dict[str, float] = {}
        self._next_rotation = 0.0
        self._next_tidying = 0.0
        self.tidying = RepeatedFailures(logger, "deleting what functions left", "tidying_failed")
        self._replicas: Replicas
        self.snapshot = Snapshot({}, {})

    def open(self, replicas: Replicas) -> None:
        """Takes over what is running, before the first step."""
        self._replicas = replicas
        replicas.adopt()
        programs = [definition.program for definition in self._definitions.values()]
        venvs_in_use = {program.venv for program in programs} | {replica.record.venv for replica in replicas}
        self._venvs.delete_unused(venvs_in_use)
        self._removed = self._store.leftovers()
        self.look_at_all()
        self._take_snapshot()

    def look_at(self, name: str) -> None:
        """Has the next step decide about the function again."""
        self._changed.add(name)

    def look_at_all(self) -> None:
        self._changed.update(self._definitions)

    def deploy(self, function: FunctionSpec, program: Program) -> None:
        if function.name in self._definitions:
            raise FunctionExists(f'a function "{function.name}" is deployed already.', "Update it with PUT instead.")
        self._store_definition(Definition.new(function, program))

    def update(self, function: FunctionSpec, program: Program) -> None:
        present = self._definition(function.name)
        wanted = present.updated(function, program)
        # Asking again for what keeps failing means: try again now.
        self._troubles.forget(function.name)
        self._venvs.retry_now(program.venv)
        self.look_at(function.name)
        if wanted != present:
            self._store_definition(wanted)

    def scale(self, name: str, replicas: int) -> None:
        present = self._definition(name)
        if replicas != present.replicas:
            self._store_definition(replace(present, replicas=replicas))

    def remove(self, name: str) -> None:
        self._definition(name)
        self._store.delete(name)
        del self._definitions[name]
        self._troubles.forget(name)
        self._removed.add(name)
        self.look_at(name)

    def step(self) -> float | None:
        """Does everything that is due; returns when to be called again if nothing happens before."""
        self._replicas.bury()
        now = time.monotonic()
        names = self._changed | {name for name, due in self._due.items() if due <= now}
        for name in sorted(names):
            self._take_turn(name, now)
        probe_at = self._replicas.probe(now)
        if names or self._changed:
            self._take_snapshot()
        self._clean_up(now)
        if self._changed:
            return now
        deadlines = [*self._due.values(), *([] if probe_at is None else [probe_at, self._next_rotation])]
        if self.tidying.times:
            deadlines.append(self._next_tidying)
        return min(deadlines, default=None)

    def on_exit(self, replica: Replica, status: int | None) -> None:
        how = processes.describe_exit(status)
        if replica.phase is Phase.STARTING:
            self._note_failure(replica, f"{how} at start")
        elif replica.phase is Phase.READY:
            self._note_failure(replica, f"{how} while it was running")
        logger.info(
            "replica %d of %s %s",
            replica.record.number,
            replica.record.name,
            how,
            extra={"event": "replica_ended", "function": replica.record.name},
        )

    def _definition(self, name: str) -> Definition:
        definition = self._definitions.get(name)
        if definition is None:
            raise FunctionNotFound(name)
        return definition

    def _store_definition(self, definition: Definition) -> None:
        self._store.save(definition)
        self._definitions[definition.function.name] = definition
        self._removed.discard(definition.function.name)
        self.look_at(definition.function.name)

    def _take_turn(self, name: str, now: float) -> None:
        """Decides and acts for one function; what goes wrong with it does not concern the others."""
        try:
            self._reconcile(name)
        except Exception as exc:
            what = f"cannot be looked after: {type(exc).__name__}: {exc}"
            if self._troubles.of(name).reason != what:  # each time again would fill the log
                extra = {"event": "reconcile_failed", "function": name}
                logger.exception("looking after %s failed; will try again", name, extra=extra)
            self._troubles.note(name, what)
            self._due[name] = now + self._timing.backoff(self._troubles.of(name).failures)
        # Its own actions have been taken into account.
        self._changed.discard(name)

    def _reconcile(self, name: str) -> None:
        """One function's turn; notes when its next one is due."""
        definition = self._definitions.get(name)
        desired = self._desired(definition)
        current = [replica for replica in self._ready(name) if replica.record.revision == desired.revision]
        self._troubles.settle(name, [replica.since for replica in current])
        trouble = self._troubles.of(name)
        present = [replica.present() for replica in self._replicas.of(name)]
        timing = replace(self._timing, start_limit=self._start_limit(definition))
        for action in decide(desired, present, trouble, time.monotonic(), timing):
            self._do(action, name, definition)
        deadlines = [
            next_deadline(
                [replica.present() for replica in self._replicas.of(name)],
                self._troubles.of(name),
                time.monotonic(),
                timing,
            ),
            self._next_word(name),
            self._venvs.retry_at(definition.program.venv) if definition and not desired.can_start else None,
        ]
        self._due.pop(name, None)
        if times := [deadline for deadline in deadlines if deadline is not None]:
            self._due[name] = min(times)

    def _start_limit(self, definition: Definition | None) -> float:
        limit = self._timing.start_limit
        return definition.function.start_timeout(limit) if definition is not None else limit

    def _next_word(self, name: str) -> float | None:
        """When there is something new to say of a replica that is getting ready."""
        now, first = time.monotonic(), self._timing.first_word
        return min((began + next_word(now - began, first) for began in self._starting(name)), default=None)

    def _starting(self, name: str) -> list[float]:
        """Since when its replicas have been getting ready."""
        return [replica.since for replica in self._replicas.of(name) if replica.phase is Phase.STARTING]

    def _desired(self, definition: Definition | None) -> DesiredReplicas:
        if definition is None:
            return NO_REPLICAS
        venv = definition.program.venv
        if definition.replicas and not self._venvs.is_ready(venv):
            name = definition.function.name
            self._venvs.prepare(venv, Path(definition.program.folder), name, self._output.of_requirements(name))
        return DesiredReplicas(definition.replicas, definition.revision, self._venvs.is_ready(venv))

    def _do(self, action: Action, name: str, definition: Definition | None) -> None:
        if isinstance(action, Start):
            if definition is not None:
                self._start(definition, action.count)
            return
        replica = next(r for r in self._replicas.of(name) if r.record.id == action.id)
        if isinstance(action, Kill):
            if action.is_failure:
                limit = self._start_limit(definition)
                self._note_failure(
                    replica, f"was not healthy {limit:g} s after its start: the health check {replica.last_probe}"
                )
            self._replicas.move(replica, Phase.KILLED)
        elif isinstance(action, Retire):
            if action.is_failure:
                self._note_failure(replica, f"is no longer healthy: the health check {replica.last_probe}")
            self._replicas.move(replica, Phase.RETIRING)
        elif isinstance(action, Terminate):
            self._replicas.move(replica, Phase.STOPPING)

    def _start(self, definition: Definition, count: int) -> None:
        name = definition.function.name
        try:
            self._venvs.mark_used(definition.program.venv)
            for _ in range(count):
                self._replicas.start(definition)
        except OSError as exc:
            self._venvs.look_again(definition.program.venv)
            what = ": ".join(str(part) for part in (exc.strerror, exc.filename) if part)
            self._troubles.note(name, f"cannot be started: {what}")

    def _note_failure(self, replica: Replica, what: str) -> None:
        """Counts against the present definition only."""
        definition = self._definitions.get(replica.record.name)
        if definition is not None and definition.revision == replica.record.revision:
            self._troubles.note_replica(replica, what)

    def _ready(self, name: str) -> list[Replica]:
        return [replica for replica in self._replicas.of(name) if replica.phase is Phase.READY]

    def _take_snapshot(self) -> None:
        table = {name: self._route(definition) for name, definition in sorted(self._definitions.items())}
        is_changed = table != self.snapshot.table
        self.snapshot = Snapshot(dict(self._definitions), table if is_changed else self.snapshot.table)
        if is_changed:
            self._publish(table)

    def _route(self, definition: Definition) -> Route:
        function = definition.function
        ready = self._ready(function.name)
        rollout, problem = Rollout.DONE, ""
        if definition.replicas and not any(r.record.revision == definition.revision for r in ready):
            trouble, venv = self._troubles.of(function.name), definition.program.venv
            rollout = Rollout.FAILING if trouble.failures or self._venvs.has_failed(venv) else Rollout.RUNNING
            problem = self._venvs.problem(venv) or trouble.reason or self._progress(definition)
        return Route(
            name=function.name,
            addresses=tuple(replica.record.address for replica in ready),
            replicas=definition.replicas,
            exec_timeout=function.exec_timeout(definition.program.image_env, self._default_exec_timeout),
            queue=function.queue,
            problem=problem,
            policy=function.policy,
            is_site=function.is_site,
            rollout=rollout,
        )

    def _progress(self, definition: Definition) -> str:
        """What the status says about replicas that are slow to get ready."""
        began = min(self._starting(definition.function.name), default=None)
        if began is None:
            return ""
        return getting_ready(time.monotonic() - began, self._start_limit(definition), self._timing.first_word)

    def _clean_up(self, now: float) -> None:
        """Deletes what replicas and removed functions left, once they are gone, and keeps logs short."""
        if now >= self._next_tidying:
            self._tidy(now)
        if now >= self._next_rotation:
            self._output.rotate()
            self._next_rotation = now + _ROTATION_INTERVAL

    def _tidy(self, now: float) -> None:
        """A disk that is full or broken keeps nothing else waiting; it is tried again more and more rarely."""
        failure: OSError | None = None
        try:
            self._replicas.tidy()
        except OSError as exc:
            failure = exc
        for name in [name for name in self._removed if not self._replicas.of(name)]:
            try:
                self._output.delete(name)
                self._store.clean(name)
            except OSError as exc:
                failure = exc
            else:
                self._removed.discard(name)
        if failure is None:
            self.tidying.over()
        else:
            self.tidying.note(failure, is_foreseen=True)
            self._next_tidying = now + self._timing.backoff(self.tidying.times)
