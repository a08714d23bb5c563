"""The local provider as the gateway sees it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from swarmfn.provider.local.decisions import Timing
from swarmfn.provider.local.definitions import Definition, DefinitionStore
from swarmfn.provider.local.function_programs import program_for
from swarmfn.provider.local.launcher import Launcher
from swarmfn.provider.local.mainloop import MainLoop
from swarmfn.provider.local.output import Output
from swarmfn.provider.local.reconciler import Reconciler
from swarmfn.provider.local.replicas import Replicas
from swarmfn.provider.local.resource_limits import DEFAULTS, ResourceLimits
from swarmfn.provider.local.state_dir import Lock, StateDir
from swarmfn.provider.local.venvs import Venvs
from swarmfn.provider.notifications import Notifier
from swarmfn.wire.addresses import as_url
from swarmfn.wire.errors import FunctionExists, FunctionNotFound, InvalidFunction, InvalidRequest
from swarmfn.wire.functions import SCALE_MIN_LABEL, FunctionSpec, FunctionStatus
from swarmfn.wire.replicas import ReplicaTable
from swarmfn.wire.rollouts import Rollout

MAX_REPLICAS = 100
"""Of one function, on one machine."""


class LocalProvider:
    """Functions as processes on this machine; see the interface, `swarmfn.provider.Provider`.

    The replicas that an earlier provider of the same `state_dir` left running are taken over: they are in the table
    once this object exists. Raises EngineUnavailable if another process has the `state_dir`.
    `gateway_address` is where functions reach the gateway, `host:port` or a URL.
    """

    kind = "local"

    def __init__(
        self,
        state_dir: Path,
        default_exec_timeout: float,
        gateway_address: str,
        timing: Timing | None = None,
        limits: ResourceLimits = DEFAULTS,
    ) -> None:
        timing = timing or Timing()
        state = StateDir(state_dir)
        with ExitStack() as undo:
            lock = Lock(state)
            undo.callback(lock.release)
            notifier = self._notifier = Notifier()
            undo.callback(notifier.close)
            loop = self._loop = MainLoop(lambda: self._reconciler.step())
            undo.callback(loop.close)
            venvs = Venvs(state, timing, loop.post, lambda: self._reconciler.look_at_all())
            undo.callback(venvs.close)
            self._output = Output(state)
            launcher = Launcher(
                state,
                self._output,
                venvs,
                default_exec_timeout=default_exec_timeout,
                gateway_url=as_url(gateway_address),
                limits=limits,
            )
            self._reconciler = Reconciler(
                DefinitionStore(state), self._output, venvs, timing, default_exec_timeout, notifier.publish
            )
            reconciler = self._reconciler
            replicas = Replicas(state, launcher, loop.selector, timing, reconciler.look_at, reconciler.on_exit)
            undo.callback(replicas.close)
            reconciler.open(replicas)
            undo.callback(loop.stop)
            loop.start()
            self._undo = undo.pop_all()

    def deploy(self, function: FunctionSpec) -> None:
        if function.name in self._reconciler.snapshot.definitions:
            raise FunctionExists(f'a function "{function.name}" is deployed already.', "Update it with PUT instead.")
        _check_first_replicas(function)
        program = program_for(function)
        self._loop.call(lambda: self._reconciler.deploy(function, program))

    def update(self, function: FunctionSpec) -> None:
        self._definition(function.name)
        program = program_for(function)
        self._loop.call(lambda: self._reconciler.update(function, program))

    def remove(self, name: str) -> None:
        self._loop.call(lambda: self._reconciler.remove(name))

    def functions(self) -> list[FunctionStatus]:
        snapshot = self._reconciler.snapshot
        return [_status(snapshot.definitions[name], snapshot.table) for name in sorted(snapshot.definitions)]

    def get(self, name: str) -> FunctionStatus:
        return _status(self._definition(name), self._reconciler.snapshot.table)

    def scale(self, name: str, replicas: int) -> None:
        self._definition(name)
        if not 0 <= replicas <= MAX_REPLICAS:
            raise InvalidRequest(f"cannot run {replicas} replicas.", f"Ask for 0 to {MAX_REPLICAS}.")
        self._loop.call(lambda: self._reconciler.scale(name, replicas))

    def table(self) -> ReplicaTable:
        return self._reconciler.snapshot.table

    def watch(self, listener: Callable[[ReplicaTable], None]) -> Callable[[], None]:
        return self._notifier.watch(listener)

    def logs(self, name: str) -> str:
        self._definition(name)
        return self._output.tail(name)

    def shortcomings(self) -> list[str]:
        failing = [
            *self._loop.failures.sentences,
            *self._reconciler.tidying.sentences,
            *self._output.shortening.sentences,
        ]
        if os.geteuid() != 0:
            return failing
        return ["functions run as root on this machine, and can read and change everything on it", *failing]

    def close(self) -> None:
        """Stops this object's threads and gives the state directory free; functions go on running. Idempotent."""
        self._undo.close()

    def _definition(self, name: str) -> Definition:
        definition = self._reconciler.snapshot.definitions.get(name)
        if definition is None:
            raise FunctionNotFound(name)
        return definition


def _check_first_replicas(function: FunctionSpec) -> None:
    if function.initial_replicas > MAX_REPLICAS:
        raise InvalidFunction("labels", f"{SCALE_MIN_LABEL} is over {MAX_REPLICAS}, the most that run on one machine.")


def _status(definition: Definition, table: ReplicaTable) -> FunctionStatus:
    row = table.get(definition.function.name)
    return FunctionStatus(
        spec=definition.function,
        replicas=definition.replicas,
        available_replicas=len(row.addresses) if row else 0,
        created_at=definition.created_at,
        rollout=row.rollout if row else Rollout.RUNNING,
        problem=row.problem if row else "",
    )
