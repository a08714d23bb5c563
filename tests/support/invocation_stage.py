"""A real gateway with functions to call: staged ones, whose every byte the test decides, and real ones."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.support.gateway import GatewayProcess
from tests.support.processes import REPOSITORY
from tests.support.raw_http import Answer, Pairs, RawClient
from tests.support.redis_server import RedisServer
from tests.support.staged_replica import StagedReplica, leave_running

FUNCTIONS = REPOSITORY / "tests" / "functions"


class InvocationStage:
    """`replica` is the one of function `stage`, `pair` those of function `pair`. Function `asleep` has no replica.

    `cat` and `family` (tests/functions) are real ones, run by a watchdog. `annotations` are those of `stage`,
    `settings` the gateway's.
    """

    def __init__(
        self,
        directory: Path,
        redis: RedisServer,
        data_plane: str,
        annotations: Mapping[str, str] | None = None,
        **settings: str,
    ) -> None:
        self.redis = redis
        self.streams_uploads = data_plane == "fastlane"
        """waitress has a request's whole body before the function sees the first of it."""
        with contextlib.ExitStack() as undo:
            self.replica, *self.pair = (
                undo.enter_context(StagedReplica(directory / f"replica-{number}.log")) for number in range(3)
            )
            state_dir = directory / "state"
            leave_running(state_dir, "stage", [self.replica], annotations)
            leave_running(state_dir, "pair", self.pair)
            leave_running(state_dir, "asleep", [])
            self.gateway = undo.enter_context(
                GatewayProcess(directory, redis.address, redis.password, data_plane, **settings)
            )
            self.gateway.deploy("cat")
            self.gateway.deploy("family", image=f"dir:{FUNCTIONS / 'family'}", envProcess="sh run.sh")
            self._undo = undo.pop_all()

    def client(self) -> RawClient:
        return RawClient(self.gateway.address)

    def call(self, method: str, target: str, headers: Pairs | None = None, body: bytes | None = None) -> Answer:
        """The answer to one request on a connection of its own."""
        with self.client() as client:
            client.request(method, target, headers, body)
            return client.answer(method)

    def begin_scene(self) -> None:
        for replica in (self.replica, *self.pair):
            replica.reset()

    def end_scene(self) -> None:
        for replica in (self.replica, *self.pair):
            replica.check()

    def __enter__(self) -> InvocationStage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()
