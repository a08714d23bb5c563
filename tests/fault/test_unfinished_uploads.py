"""Many large bodies of asynchronous calls at once: what the gateway holds of them, and what is left when it dies."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.gateway import DATA_PLANES, GatewayProcess
from tests.support.raw_http import RawClient
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

MIB = 1 << 20
CLIENTS = 10
HELD = 2 * MIB  # of one body


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    (tmp_path / "redis").mkdir()
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def start(tmp_path: Path, redis: RedisServer) -> Iterator[Callable[..., GatewayProcess]]:
    """Starts a gateway with the function `cat`."""
    with contextlib.ExitStack() as undo:

        def start(data_plane: str = "fastlane", **settings: str) -> GatewayProcess:
            gateway = GatewayProcess(
                tmp_path, redis.address, redis.password, data_plane, upload_budget="2Gi", **settings
            )
            undo.enter_context(gateway).deploy("cat")
            return gateway

        yield start


def begin(gateway: GatewayProcess, sent: int) -> RawClient:
    """A client that has sent this much of a body of 60 MiB."""
    client = RawClient(gateway.address)
    client.request("POST", "/async-function/cat", [("Content-Length", str(60 * MIB))])
    for _ in range(sent // MIB):
        client.send(bytes(MIB))
    return client


def memory(gateway: GatewayProcess, name: str) -> int:
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(f"{name}:")).split()[1]) * 1024


def half_way(redis: RedisServer) -> int:
    """Bytes of uploads that are unfinished."""
    with redis.client() as client:
        return sum(client.strlen(key) for key in client.scan_iter("swarmfn:upload:*"))


def send_whole(gateway: GatewayProcess, size: int, statuses: list[int]) -> None:
    with RawClient(gateway.address) as client:
        client.request("POST", "/async-function/cat", body=bytes(size))
        statuses.append(client.answer("POST").status)


@pytest.mark.parametrize("data_plane", DATA_PLANES)
def test_many_large_bodies_at_once_are_in_memory_by_pieces(
    start: Callable[..., GatewayProcess], redis: RedisServer, data_plane: str
) -> None:
    gateway = start(data_plane)
    statuses: list[int] = []
    send_whole(gateway, 10 * MIB, statuses)
    before = memory(gateway, "VmRSS")
    Path(f"/proc/{gateway.process.pid}/clear_refs").write_text("5")  # the highest mark so far is forgotten
    threads = [threading.Thread(target=send_whole, args=(gateway, 10 * MIB, statuses)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [202] * (CLIENTS + 1)
    most = memory(gateway, "VmHWM") - before
    print(f"\n{most / MIB:.1f} MiB more for {CLIENTS} bodies of 10 MiB at once")
    assert most < CLIENTS * HELD + 8 * MIB
    with redis.client() as client:
        sizes = [client.strlen(key) for key in client.scan_iter("swarmfn:body:*")]
    assert sizes == [10 * MIB] * (CLIENTS + 1)


def test_unfinished_bodies_lie_in_redis_until_their_clients_are_too_slow(
    start: Callable[..., GatewayProcess], redis: RedisServer
) -> None:
    gateway = start(upstream_timeout="8s", read_timeout="9s")
    before = memory(gateway, "VmRSS")
    with contextlib.ExitStack() as attack:
        clients = [attack.enter_context(begin(gateway, 8 * MIB)) for _ in range(CLIENTS)]
        wait_until(lambda: half_way(redis) >= CLIENTS * 7 * MIB, message="all but the last pieces are in Redis")
        grown = memory(gateway, "VmRSS") - before
        print(f"\n{grown / MIB:.1f} MiB more for {CLIENTS} unfinished bodies")
        assert grown < CLIENTS * HELD + 8 * MIB
        assert {client.answer("POST").status for client in clients} == {408}
        wait_until(lambda: half_way(redis) == 0, message="nothing of them is left")


def test_what_a_killed_gateway_leaves_half_way_expires(
    start: Callable[..., GatewayProcess], redis: RedisServer
) -> None:
    gateway = start(upstream_timeout="8s", read_timeout="9s")
    with begin(gateway, 8 * MIB), redis.client() as client:
        wait_until(lambda: half_way(redis) > 0, message="pieces are in Redis")
        gateway.process.kill()
        (upload,) = client.scan_iter("swarmfn:upload:*")
        # read_timeout, and a minute.
        assert 0 < client.pttl(upload) <= 69_000
        assert [*client.scan_iter("swarmfn:body*"), *client.scan_iter("rq:job:*")] == []
