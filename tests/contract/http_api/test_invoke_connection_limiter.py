"""Many connections from one address: they are limited, and everybody else, health checks and management go on."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import GatewayProcess
from tests.support.raw_http import RawClient
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

LIMIT = 40
NEIGHBOUR = "127.0.0.2"


@pytest.fixture(scope="module")
def crowded(
    data_plane: str, tmp_path_factory: pytest.TempPathFactory, redis_process: RedisServer
) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp(f"crowded-{data_plane}")
    settings = {"max_connections_per_client": str(LIMIT)}
    with GatewayProcess(folder, redis_process.address, redis_process.password, data_plane, **settings) as gateway:
        gateway.deploy("cat")
        yield gateway


def status(gateway: GatewayProcess, target: str, source: str) -> int:
    with RawClient(gateway.address, source) as client:
        client.request("POST" if "function/" in target else "GET", target, body=b"x" if "function/" in target else None)
        return client.answer().status


def descriptors(gateway: GatewayProcess) -> int:
    return len(list(Path(f"/proc/{gateway.process.pid}/fd").iterdir()))


def test_idle_connections_are_shed_and_nobody_notices(crowded: GatewayProcess) -> None:
    before = descriptors(crowded)
    with contextlib.ExitStack() as attack:
        for _ in range(5 * LIMIT):
            attack.enter_context(RawClient(crowded.address))
        for source in ("127.0.0.1", NEIGHBOUR):
            for target, expected in (("/healthz", 200), ("/function/cat", 200), ("/async-function/cat", 202)):
                assert status(crowded, target, source) == expected, (target, source)
        assert crowded.get("/system/functions").status_code == 200
        wait_until(lambda: descriptors(crowded) < before + LIMIT + 20, message="connections are closed")


def test_where_none_is_idle_health_checks_and_management_have_places_of_their_own(crowded: GatewayProcess) -> None:
    with contextlib.ExitStack() as attack:

        def is_full() -> bool:
            # Those whose words were not read yet when the next ones came are taken for idle: more of them come.
            for _ in range(LIMIT + 100):
                client = attack.enter_context(RawClient(crowded.address))
                with contextlib.suppress(ConnectionError):
                    client.send(b"POST /function/cat HTTP/1.1\r\nHost: x\r\n")
            return status(crowded, "/function/cat", "127.0.0.1") == 503

        wait_until(is_full, message="every ordinary place is taken")
        with RawClient(crowded.address) as client:
            client.request("POST", "/function/cat", body=b"x")
            answer = client.answer("POST")
            assert (answer.status, answer.header("Retry-After"), answer.header("Connection")) == (503, "1", "close")
            assert "max_connections_per_client" in answer.text
        assert status(crowded, "/healthz", "127.0.0.1") == 200
        assert status(crowded, "/system/functions", "127.0.0.1") == 401
        for target, expected in (("/healthz", 200), ("/function/cat", 200), ("/async-function/cat", 202)):
            assert status(crowded, target, NEIGHBOUR) == expected, target
    wait_until(lambda: status(crowded, "/function/cat", "127.0.0.1") == 200, message="there is room again")


def test_the_gateway_takes_as_many_descriptors_as_it_may(crowded: GatewayProcess) -> None:
    limits = Path(f"/proc/{crowded.process.pid}/limits").read_text().splitlines()
    soft, hard = next(line for line in limits if line.startswith("Max open files")).split()[3:5]
    assert int(soft) == min(65_536, resource.RLIM_INFINITY if hard == "unlimited" else int(hard)) or hard == "unlimited"
