"""Anonymous clients that take what they can, at full size: the gateway stays within its memory and a bystander's calls
go on without an error. The short forms are among the tests of the HTTP API (upload_budget, slow_readers, crowd)."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarmfn.wire.descriptors import allow_many_descriptors
from swarmfn.wire.invocations import StoredResponse
from tests.support.bystander import Bystander
from tests.support.gateway import DATA_PLANES, GatewayProcess
from tests.support.hand_worker import finish, take
from tests.support.raw_http import RawClient, Truncated
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

MIB = 1 << 20
BUDGET = 256 * MIB
SECONDS = 15.0

pytestmark = pytest.mark.long


class Scene:
    """A gateway with the function `cat`, its Redis, and what the attackers have open."""

    def __init__(self, gateway: GatewayProcess, redis: RedisServer) -> None:
        self.gateway = gateway
        self.redis = redis
        self.attackers = contextlib.ExitStack()

    def connect(self) -> RawClient:
        return self.attackers.enter_context(RawClient(self.gateway.address))

    def resident(self) -> int:
        status = Path(f"/proc/{self.gateway.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


@pytest.fixture(params=DATA_PLANES)
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    (tmp_path / "redis").mkdir()
    allow_many_descriptors()
    with (
        RedisServer(tmp_path / "redis") as redis,
        GatewayProcess(tmp_path, redis.address, redis.password, request.param, upload_budget=str(BUDGET)) as gateway,
    ):
        gateway.deploy("cat")
        scene = Scene(gateway, redis)
        with scene.attackers:
            yield scene


def leave_uploads_unfinished(scene: Scene) -> None:
    for _ in range(25):
        client = scene.connect()
        client.send(b"POST /async-function/cat HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (60 * MIB + 1))
        with contextlib.suppress(OSError):  # it was refused
            for _ in range(60):
                client.send(bytes(MIB))


def read_results_slowly(scene: Scene) -> None:
    with RawClient(scene.gateway.address) as client:
        client.request("POST", "/async-function/cat", body=b"x")
        call_id = client.answer("POST").header("X-Call-Id")
    taken = take(scene.redis, "cat")
    while taken is not None and taken.call.call_id != call_id:  # a bystander's came first
        taken = take(scene.redis, "cat")
    assert taken is not None
    finish(scene.redis, taken, StoredResponse(200, [], 8_000_000), bytes(8_000_000))
    for _ in range(40):
        client = scene.connect()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.request("GET", f"/async-function/{call_id}/result")


def stay_connected(scene: Scene) -> None:
    for _ in range(6_000):
        with contextlib.suppress(OSError):
            scene.connect()


def begin_and_stop(scene: Scene) -> None:
    for _ in range(6_000):
        with contextlib.suppress(OSError):
            scene.connect().send(b"POST /function/cat HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("attack", "room"),
    [
        (leave_uploads_unfinished, BUDGET),
        (read_results_slowly, 40 * 2 * MIB),
        (stay_connected, 100 * MIB),
        (begin_and_stop, 200 * MIB),
    ],
)
def test_a_bystander_notices_nothing(scene: Scene, attack: Callable[[Scene], None], room: int) -> None:
    before = scene.resident()
    with Bystander(scene.gateway.address, "cat") as control:
        time.sleep(SECONDS)
    with Bystander(scene.gateway.address, "cat") as bystander:
        attack(scene)
        end, most = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            most = max(most, scene.resident())
            time.sleep(0.2)
    print(f"\n{attack.__name__}: p99 {bystander.p99 * 1000:.1f} ms, {control.p99 * 1000:.1f} ms without", end="; ")
    print(f"{len(bystander.seconds)} requests; RSS {before // MIB} MiB, at most {most // MIB} MiB")
    assert (control.problems, bystander.problems) == ([], [])
    assert most - before < room + 32 * MIB
    with scene.redis.client() as stored:
        accepted = sum(
            int(number)
            for name, number in stored.hgetall("swarmfn:totals").items()
            if name.startswith(b"accepted:cat:")
        )
    assert accepted >= control.accepted + bystander.accepted
    scene.attackers.close()

    def is_served() -> bool:
        with contextlib.suppress(OSError, Truncated), RawClient(scene.gateway.address) as client:
            client.request("POST", "/function/cat", body=b"x")
            return client.answer("POST").status == 200
        return False

    wait_until(is_served, message="the attackers' address is served again")
