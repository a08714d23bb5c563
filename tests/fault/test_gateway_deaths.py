"""The gateway is killed while clients send it calls and workers run them."""

from __future__ import annotations

import functools
import random
import threading
from collections import Counter
from pathlib import Path

import pytest
import requests

from tests.support.gateway import DATA_PLANES, GatewayProcess
from tests.support.queue_stage import QueueStage
from tests.support.staged_replica import Exchange, StagedReplica, leave_running
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess

CLIENTS = 8
KILLS = 3


class Clients:
    """Send `count` calls in total, each with an id of its own; one whose answer never came is sent once more under
    another id. `accepted` are the ids that a 202 named, `in_doubt` those whose answer was lost. With `use_keys` each
    call has an idempotency key instead, and is sent again under that."""

    def __init__(self, gateway: GatewayProcess, count: int, use_keys: bool = False) -> None:
        self.accepted: set[str] = set()
        self.in_doubt: set[str] = set()
        self._gateway = gateway
        self._use_keys = use_keys
        self._numbers = iter(range(count))
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send_all) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(300)
            assert not thread.is_alive()

    def _send_all(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while (number := self._next()) is not None:
                for again in range(1000):
                    if self._send(session, f"c{number}" if self._use_keys else f"c{number}-{again}"):
                        break

    def _next(self) -> int | None:
        with self._lock:
            return next(self._numbers, None)

    def _send(self, session: requests.Session, call_id: str) -> bool:
        url = f"{self._gateway.url}/async-function/echo"
        headers = {"Idempotency-Key" if self._use_keys else "X-Call-Id": call_id}
        try:
            answer = session.post(url, data=call_id.encode(), headers=headers, timeout=30)
        except requests.ConnectionError:
            self.in_doubt.add(call_id)
            # A gateway that is away refuses at once; there is nothing to wait for but its restart.
            wait_until(self._is_up, 60, "the gateway is back")
            return False
        if answer.status_code == 202:
            assert self._use_keys or answer.headers["X-Call-Id"] == call_id
            self.accepted.add(answer.headers["X-Call-Id"])
        return answer.status_code == 202

    def _is_up(self) -> bool:
        try:
            return requests.get(f"{self._gateway.url}/healthz", timeout=5).ok
        except requests.ConnectionError:
            return False


@pytest.mark.parametrize("data_plane", DATA_PLANES)
def test_a_gateway_killed_while_it_accepts_loses_nothing_it_has_accepted(
    stage: QueueStage, tmp_path: Path, seed: int, count: int, data_plane: str
) -> None:
    chance = random.Random(seed)
    with StagedReplica(tmp_path / "replica.log") as function:
        leave_running(tmp_path / "state", "echo", [function])
        with (
            GatewayProcess(tmp_path, stage.server.address, stage.server.password, data_plane) as gateway,
            WorkerProcess(stage.server, tmp_path, max_inflight="20") as worker,
        ):
            worker.wait_until_ready()
            clients = _accept_while_the_gateway_dies(gateway, count, chance)
            assert len(clients.accepted) == count
            wait_until(lambda: stage.ledger.pending() == 0, 120, "every call is final")
            assert worker.terminate() == 0
        runs = Counter(str(exchange.header("X-Call-Id")) for exchange in _drained(function))
    states = Counter(stage.record(call_id).state for call_id in clients.accepted)
    assert states == {"succeeded": count}
    # What was stored although its client was never told may run; nothing runs twice.
    assert clients.accepted <= set(runs) <= clients.accepted | clients.in_doubt
    assert set(runs.values()) == {1}
    stage.ledger.assert_balanced()


def test_a_client_that_sends_again_under_its_key_has_its_function_run_once(
    stage: QueueStage, tmp_path: Path, seed: int, count: int
) -> None:
    chance = random.Random(seed)
    with StagedReplica(tmp_path / "replica.log") as function:
        leave_running(tmp_path / "state", "echo", [function])
        with (
            GatewayProcess(tmp_path, stage.server.address, stage.server.password, "fastlane") as gateway,
            WorkerProcess(stage.server, tmp_path, max_inflight="20") as worker,
        ):
            worker.wait_until_ready()
            clients = _accept_while_the_gateway_dies(gateway, count, chance, use_keys=True)
            assert len(clients.accepted) == count
            wait_until(lambda: stage.ledger.pending() == 0, 120, "every call is final")
            assert worker.terminate() == 0
        exchanges = _drained(function)
    keys = Counter(exchange.header("Idempotency-Key") for exchange in exchanges)
    assert keys == {f"c{number}": 1 for number in range(count)}
    assert {exchange.header("X-Call-Id") for exchange in exchanges} == clients.accepted
    assert stage.ledger.total("accepted") == count
    stage.ledger.assert_balanced()


def _accept_while_the_gateway_dies(
    gateway: GatewayProcess, count: int, chance: random.Random, use_keys: bool = False
) -> Clients:
    clients = Clients(gateway, count, use_keys)

    def have_accepted(enough: float) -> bool:
        return len(clients.accepted) >= enough

    for number in range(KILLS):
        enough = (number + chance.random()) / (KILLS + 1) * count
        wait_until(functools.partial(have_accepted, enough), 120, f"{enough:.0f} calls are accepted")
        gateway.kill_and_restart()
    clients.join()
    return clients


def _drained(function: StagedReplica) -> list[Exchange]:
    exchanges = []
    while not function.received.empty():
        exchanges.append(function.received.get())
    return exchanges
