"""Where functions run: the interface, and one package for each place: `local`, processes on this machine, and
`swarm`, services of a Docker Swarm.

A provider keeps the wanted state of functions, starts and replaces replicas, and knows their addresses. It never
proxies a call and never touches the queue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from swarmfn.wire.functions import FunctionSpec, FunctionStatus
from swarmfn.wire.replicas import ReplicaTable


class Provider(Protocol):
    """One place where functions run. Every method may be called from any thread.

    Names are plain (no namespace). Every method may raise EngineUnavailable. Definitions survive the provider's end
    and the machine's restart; `close` leaves the functions running.
    """

    kind: str
    """`swarm` or `local`, as reported in /system/info."""

    def deploy(self, function: FunctionSpec) -> None:
        """Accepts a new function and starts its first replicas; returns before they are healthy.

        Raises FunctionExists, or InvalidFunction for a spec that cannot run here.
        """

    def update(self, function: FunctionSpec) -> None:
        """Replaces a function's spec. A spec equal to the present one changes nothing; where replicas would run
        differently, new ones are started first, and the old ones stop once those are healthy. If they never are, the
        old ones go on serving, and the table's row says why. The number of replicas is kept.

        Raises FunctionNotFound, or InvalidFunction for a spec that cannot run here, which then changes nothing.
        """

    def remove(self, name: str) -> None:
        """Forgets the function and stops its replicas, which may finish what they are running. Raises
        FunctionNotFound."""

    def functions(self) -> list[FunctionStatus]:
        """Every function, by name."""

    def get(self, name: str) -> FunctionStatus:
        """One function, matched exactly. Raises FunctionNotFound."""

    def scale(self, name: str, replicas: int) -> None:
        """Sets the number of replicas; 0 is allowed. Returns before they are there. Raises FunctionNotFound, or
        InvalidRequest for a negative or absurd number."""

    def table(self) -> ReplicaTable:
        """The present replica table; cheap, never waits for an engine. A replica that is about to stop is no longer
        in it."""

    def watch(self, listener: Callable[[ReplicaTable], None]) -> Callable[[], None]:
        """Calls `listener` with the table now and after every change, one call at a time, on a thread of the
        provider's; returns a function after whose return it is not called again. A listener must be quick and not
        raise; while it is busy, tables that were overtaken by newer ones are skipped."""

    def logs(self, name: str) -> str:
        """The last output of the function's replicas, oldest first, at most 64 KiB. Raises FunctionNotFound."""

    def shortcomings(self) -> list[str]:
        """What cannot be done here for the safety of functions, and what keeps failing while functions are looked
        after, in sentences for the operator."""

    def close(self) -> None:
        """Stops this object's threads. Functions go on running."""
