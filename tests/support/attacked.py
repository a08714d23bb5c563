"""The whole platform under attack: what the attackers hold, what gateway and worker take of the memory meanwhile, and
what happens to everybody else's calls."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.gateway import GatewayProcess
from tests.support.http import RecordingServer
from tests.support.processes import REPOSITORY
from tests.support.queue_stage import QueueStage
from tests.support.raw_http import Answer, Pairs, RawClient
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess

INNOCENT = "innocent"
"""The function of those who attack nobody."""

FUNCTIONS = REPOSITORY / "tests" / "functions"


@dataclass(frozen=True)
class Form:
    """How long an attack goes on in seconds, how much of it there is, and the bytes that gateway and worker may have
    for bodies and in total."""

    seconds: float
    times: int
    budget: int
    limit: int

    @property
    def is_long(self) -> bool:
        return self.times > 1


@dataclass
class Scene:
    """A gateway with its functions as processes, a worker, and their Redis. `attackers` holds connections open."""

    is_fastlane: bool
    gateway: GatewayProcess
    worker: WorkerProcess
    stage: QueueStage
    form: Form
    notes: Path
    temporary: Path
    receiver: RecordingServer
    attackers: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    deaths: int = 0
    """Of worker processes, by the attack."""

    def connect(self) -> RawClient:
        """An attacker's connection, which stays open."""
        return self.attackers.enter_context(RawClient(self.gateway.address))

    def call(self, method: str, target: str, headers: Pairs | None = None, body: bytes | None = None) -> Answer:
        """An attacker's request and the answer to it."""
        with RawClient(self.gateway.address) as client:
            client.request(method, target, headers, body)
            return client.answer(method)

    def send(self, name: str, headers: Pairs | None = None) -> str:
        """An attacker's asynchronous call; its id once it is accepted."""
        answer = self.call("POST", f"/async-function/{name}", headers, b"x")
        assert answer.status == 202, answer.text
        return str(answer.header("X-Call-Id"))

    def resident(self) -> dict[str, int]:
        """Bytes of memory: the gateway's, and those of the worker's processes together."""
        worker = [self.worker.pid, *self.worker.children()]
        return {"gateway": _resident(self.gateway.process.pid), "worker": sum(map(_resident, worker))}

    def runs(self) -> Counter[str]:
        """How often the innocents' function ran, by call."""
        return Counter(self.notes.read_text().split()) if self.notes.exists() else Counter()

    def told(self) -> set[str]:
        """The calls whose callbacks have come to the innocents' receiver."""
        return {str(request.header("X-Call-Id")) for request in list(self.receiver.received)}

    def wait_until_all_has_ended(self) -> None:
        """Every accepted call is final, and the books balance."""
        wait_until(lambda: self.stage.ledger.pending() == 0, 180, "every accepted call has ended", every=0.1)
        self.stage.ledger.assert_balanced()


@contextlib.contextmanager
def platform(directory: Path, data_plane: str, form: Form) -> Iterator[Scene]:
    """Starts all of it. Bodies of up to 8 MiB may be sent, and callbacks wait for 2 s."""
    temporary, notes = directory / "tmp", directory / "notes"
    for folder in (directory / "redis", temporary):
        folder.mkdir()
    budget = str(form.budget)
    in_gateway = {"TMPDIR": str(temporary), "async_max_body": "8Mi", "upload_budget": budget}
    in_worker = {"answer_budget": budget, "body_budget": budget, "callback_timeout": "2s"}
    with (
        RedisServer(directory / "redis", "--appendonly", "no") as redis,
        GatewayProcess(directory, redis.address, redis.password, data_plane, **in_gateway) as gateway,
        WorkerProcess(redis, directory, **in_worker) as worker,
        QueueStage(redis) as stage,
        RecordingServer() as receiver,
    ):
        gateway.deploy(
            INNOCENT, image=f"dir:{FUNCTIONS / 'noting'}", envProcess="sh run.sh", envVars={"notes": str(notes)}
        )
        worker.wait_until_ready()
        scene = Scene(data_plane == "fastlane", gateway, worker, stage, form, notes, temporary, receiver)
        yield scene
        assert worker.exit_code is None, worker.log()
        assert gateway.process.exit_code is None, gateway.log()


class Watch:
    """Notes the most that a figure was, several times a second, from the start of the `with` block to its end."""

    def __init__(self, figures: Callable[[], dict[str, int]]) -> None:
        self.most: dict[str, int] = {}
        self._figures = figures
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._go_on)

    def _go_on(self) -> None:
        while not self._is_over.wait(0.1):
            for name, value in self._figures().items():
                self.most[name] = max(value, self.most.get(name, 0))

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *what: object) -> None:
        self._is_over.set()
        self._thread.join()


def _resident(pid: int) -> int:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
    return 0  # it has ended
