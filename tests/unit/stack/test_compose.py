"""docker-compose.swarm.yml as data."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from stack.compose import load_services, substitute
from stack.errors import ComposeFileError
from swarmfn.wire.durations import parse_duration
from tests.support.processes import REPOSITORY

COMPOSE = REPOSITORY / "docker-compose.swarm.yml"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "one"),
        ("${A:-two}", "one"),
        ("${MISSING:-two}", "two"),
        ("${EMPTY:-two}", "two"),
        ("${MISSING}", ""),
        ("$$A", "$A"),
        ("$${A}", "${A}"),
        ("x-${A}-${MISSING:-y}", "x-one-y"),
        ("$A", "$A"),
    ],
)
def test_references_are_replaced(text: str, expected: str) -> None:
    assert substitute(text, {"A": "one", "EMPTY": ""}) == expected


def test_references_are_replaced_at_every_depth() -> None:
    assert substitute({"a": ["${A}", 1, {"b": "${A}"}]}, {"A": "x"}) == {"a": ["x", 1, {"b": "x"}]}


def test_the_stack_has_its_three_services() -> None:
    assert set(load_services(COMPOSE, {})) == {"gateway", "worker", "redis"}


def test_settings_come_from_the_environment() -> None:
    services = load_services(COMPOSE, {"upstream_timeout": "2m", "worker_replicas": "3"})
    assert services["gateway"].environment["upstream_timeout"] == "2m"
    assert services["worker"].replicas == 3


def test_calls_in_flight_may_finish_before_a_service_is_killed() -> None:
    gateway = load_services(COMPOSE, {})["gateway"]
    assert gateway.stop_grace_period > parse_duration(gateway.environment["write_timeout"])


def test_what_swarm_needs_is_described() -> None:
    document = yaml.safe_load(COMPOSE.read_text())
    gateway = document["services"]["gateway"]
    assert gateway["ports"] == [{"target": 8080, "published": 8080, "protocol": "tcp", "mode": "host"}]
    assert gateway["deploy"]["update_config"]["order"] == "stop-first"
    assert {service["deploy"]["endpoint_mode"] for service in document["services"].values()} == {"dnsrr"}
    assert document["services"]["redis"]["networks"] == ["data"]
    assert "ports" not in document["services"]["redis"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: [", "cannot read"),
        ("[]", "no mapping `services`"),
        (
            "services: {a: {deploy: {replicas: many}}}",
            "services.a.deploy.replicas: expected a whole number, got 'many'",
        ),
        ("services: {a: {stop_grace_period: soon}}", "soon"),
        ("services: {a: 1}", "a"),
    ],
)
def test_a_bad_file_is_named_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "compose.yml"
    path.write_text(text)
    with pytest.raises(ComposeFileError, match=message):
        load_services(path, {})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ComposeFileError, match=r"compose\.yml"):
        load_services(tmp_path / "compose.yml", {})
