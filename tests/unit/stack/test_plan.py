"""Plans, restarts and what a service is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.compose.model import Deploy, Service
from stack.embedded.code import code_fingerprint
from stack.embedded.plan import make_plan
from stack.embedded.redis_config import redis_config, with_password
from stack.embedded.services import EmbeddedServices, reachable
from stack.embedded.spec import ServiceSpec
from stack.state import Settings, StateDirectory
from tests.support.processes import REPOSITORY


def spec(name: str, version: str = "") -> ServiceSpec:
    return ServiceSpec(name=name, command=("true",), directory="/", log="/dev/null", version=version)


def test_what_is_missing_is_started_in_order() -> None:
    plan = make_plan([spec("a"), spec("b")], {})
    assert (plan.start, plan.replace, plan.stop) == (("a", "b"), (), ())


def test_what_is_the_same_is_left_alone() -> None:
    assert make_plan([spec("a")], {"a": spec("a").fingerprint}).is_empty


def test_what_differs_is_replaced() -> None:
    assert make_plan([spec("a", "2"), spec("b")], {"a": spec("a").fingerprint}).replace == ("a",)


def test_what_is_not_wanted_is_stopped_the_last_first() -> None:
    assert make_plan([], {"a": "1", "b": "2"}).stop == ("b", "a")


def test_a_spec_survives_its_json() -> None:
    original = ServiceSpec("a", ("x", "y"), "/d", "/l", {"k": "v"}, 3.0, "v1")
    assert ServiceSpec.from_json(original.to_json()) == original


@pytest.mark.parametrize(
    ("address", "expected"),
    [("0.0.0.0", "127.0.0.1:9"), ("127.0.0.1", "127.0.0.1:9"), ("10.0.0.5", "10.0.0.5:9"), ("::1", "[::1]:9")],
)
def test_the_gateway_is_reached_where_it_listens(address: str, expected: str) -> None:
    assert reachable(Settings(port=9, listen_address=address)) == expected


def services(tmp_path: Path, worker_replicas: int = 1) -> EmbeddedServices:
    compose = {
        name: Service(
            name,
            "swarmfn",
            ("python", "-m", name),
            environment={"log_format": "json"},
            stop_grace_period=30.0,
            deploy=Deploy(replicas=worker_replicas),
        )
        for name in ("gateway", "worker", "redis")
    }
    return EmbeddedServices(compose, REPOSITORY, StateDirectory(tmp_path), Settings(port=9000, redis_port=7000))


def test_services_get_this_machines_addresses_and_keep_the_rest(tmp_path: Path) -> None:
    gateway, (worker,) = services(tmp_path).gateway(), services(tmp_path).workers()
    assert gateway.environment["port"] == "9000"
    assert gateway.environment["functions_provider"] == "local"
    assert gateway.environment["log_format"] == "json"
    assert gateway.stop_timeout == 30.0
    assert worker.environment["host_aliases"] == "gateway:8080=127.0.0.1:9000"
    assert worker.environment["faas_redis_address"] == "127.0.0.1:7000"


def test_workers_can_be_several(tmp_path: Path) -> None:
    assert [worker.name for worker in services(tmp_path, 3).workers()] == ["worker.1", "worker.2", "worker.3"]


def test_no_password_is_in_a_command_or_an_environment(tmp_path: Path) -> None:
    program = tmp_path / "redis-server"
    program.touch()
    config = redis_config("appendonly yes\n", {"appendfsync": "always"}, tmp_path, 7000)
    made = services(tmp_path)
    specs = [made.redis(program, config), made.gateway(), *made.workers()]
    assert not any("requirepass" in str(one.to_json()) for one in specs)
    assert with_password(config, 'xy"zzy').endswith('requirepass "xy\\"zzy"\n')
    assert "appendfsync always\n" in config


@pytest.mark.parametrize("file", ["some_small_package/__init__.py", "some_small_package.py"])
def test_code_fingerprints_change_with_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    source = tmp_path / file
    source.parent.mkdir(exist_ok=True)
    source.write_text("a = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = code_fingerprint(tmp_path, "some_small_package")
    assert code_fingerprint(tmp_path, "some_small_package") == before
    source.write_text("a = 2\n")
    assert code_fingerprint(tmp_path, "some_small_package") != before
