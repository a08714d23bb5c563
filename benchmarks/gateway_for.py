"""The real gateway in front of one given address, for benchmarks: `python gateway_for.py NAME=host:port`.

Everything but the provider is the product's; its settings come from the environment as usual.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import uvloop

from gateway.__main__ import Gateway
from gateway.settings import Settings
from swarmfn.wire.errors import FunctionNotFound, InvalidRequest
from swarmfn.wire.functions import FunctionSpec, FunctionStatus
from swarmfn.wire.replicas import ReplicaTable, Route


class OneAddress:
    """A place where one function has always been running; nothing can be deployed there."""

    kind = "local"

    def __init__(self, name: str, address: str) -> None:
        self._table = {name: Route(name, (address,), 1, 60.0, name)}

    def deploy(self, function: FunctionSpec) -> None:
        raise InvalidRequest("nothing can be deployed here.")

    def update(self, function: FunctionSpec) -> None:
        raise InvalidRequest("nothing can be deployed here.")

    def remove(self, name: str) -> None:
        raise InvalidRequest("nothing can be removed here.")

    def functions(self) -> list[FunctionStatus]:
        return []

    def get(self, name: str) -> FunctionStatus:
        raise FunctionNotFound(name)

    def scale(self, name: str, replicas: int) -> None:
        raise InvalidRequest("nothing can be scaled here.")

    def table(self) -> ReplicaTable:
        return self._table

    def watch(self, listener: Callable[[ReplicaTable], None]) -> Callable[[], None]:
        listener(self._table)
        return lambda: None

    def logs(self, name: str) -> str:
        return ""

    def shortcomings(self) -> list[str]:
        return []

    def close(self) -> None:
        pass


if __name__ == "__main__":
    function, _, where = sys.argv[1].partition("=")
    uvloop.run(Gateway(Settings.from_environment(os.environ), OneAddress(function, where)).serve())
