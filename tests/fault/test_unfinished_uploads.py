"""Many large bodies of asynchronous calls at once: what the gateway holds of them, and what is left when it dies."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import DATA_PLANES, GatewayProcess
from tests.support.raw_http import RawClient
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

MIB = 1 << 20
CLIENTS = 10
HELD = 2 * MIB  # of one body


@pytest.fixture(params=DATA_PLANES)
def gateway(request: pytest.FixtureRequest, tmp_path: Path, own_redis: RedisServer) -> Iterator[GatewayProcess]:
    settings = {"read_timeout": "9s", "write_timeout": "9s", "upstream_timeout": "8s", "upload_budget": "2Gi"}
    with GatewayProcess(tmp_path, own_redis.address, own_redis.password, request.param, **settings) as gateway:
        gateway.deploy("cat")
        yield gateway


def begin(gateway: GatewayProcess, sent: int) -> RawClient:
    """A client that has sent so much of a body of 60 MiB."""
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


def test_many_large_bodies_at_once_are_in_memory_by_pieces(gateway: GatewayProcess, own_redis: RedisServer) -> None:
    statuses: list[int] = []
    send_whole(gateway, 20 * MIB, statuses)
    before = memory(gateway, "VmRSS")
    Path(f"/proc/{gateway.process.pid}/clear_refs").write_text("5")  # the highest mark so far is forgotten
    threads = [threading.Thread(target=send_whole, args=(gateway, 20 * MIB, statuses)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [202] * (CLIENTS + 1)
    most = memory(gateway, "VmHWM") - before
    print(f"\n{most / MIB:.1f} MiB more for {CLIENTS} bodies of 20 MiB at once")
    assert most < CLIENTS * HELD + 8 * MIB
    with own_redis.client() as client:
        sizes = [client.strlen(key) for key in client.scan_iter("swarmfn:body:*")]
    assert sizes == [20 * MIB] * (CLIENTS + 1)


@pytest.mark.parametrize("gateway", ["fastlane"], indirect=True)
def test_unfinished_bodies_lie_in_redis_until_their_clients_are_too_slow(
    gateway: GatewayProcess, own_redis: RedisServer
) -> None:
    before = memory(gateway, "VmRSS")
    with contextlib.ExitStack() as attack:
        clients = [attack.enter_context(begin(gateway, 12 * MIB)) for _ in range(CLIENTS)]
        wait_until(lambda: half_way(own_redis) >= CLIENTS * 11 * MIB, message="all but the last pieces are in Redis")
        grown = memory(gateway, "VmRSS") - before
        print(f"\n{grown / MIB:.1f} MiB more for {CLIENTS} unfinished bodies")
        assert grown < CLIENTS * HELD + 8 * MIB
        assert {client.answer("POST").status for client in clients} == {408}
        wait_until(lambda: half_way(own_redis) == 0, message="nothing of them is left")


@pytest.mark.parametrize("gateway", ["fastlane"], indirect=True)
def test_what_a_killed_gateway_leaves_half_way_expires(gateway: GatewayProcess, own_redis: RedisServer) -> None:
    with begin(gateway, 12 * MIB), own_redis.client() as client:
        wait_until(lambda: half_way(own_redis) > 0, message="pieces are in Redis")
        gateway.process.kill()
        (upload,) = client.scan_iter("swarmfn:upload:*")
        # read_timeout, and a minute.
        assert 0 < client.pttl(upload) <= 69_000
        assert [*client.scan_iter("swarmfn:body*"), *client.scan_iter("rq:job:*")] == []
