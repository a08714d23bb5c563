"""What a function becomes on Swarm."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swarmfn.provider.swarm.documents import ServiceSpec
from swarmfn.provider.swarm.service_spec import ServiceContext, check_constraints, service_spec, warnings
from swarmfn.wire.errors import InvalidFunction
from swarmfn.wire.functions import FunctionSpec, Resources

SECOND = 10**9


def spec(function: FunctionSpec, **given: Any) -> ServiceSpec:
    context = ServiceContext("net-id", "http://gateway:8080", 60.0, 1.0, **given)
    return service_spec(function, context, 2, "2026-01-31T12:00:00Z")


def environment(function: FunctionSpec, **given: Any) -> dict[str, str]:
    entries = spec(function, **given)["TaskTemplate"]["ContainerSpec"]["Env"]
    return dict(entry.split("=", 1) for entry in entries)


def test_a_plain_function_follows_the_conventions() -> None:
    found = spec(FunctionSpec("echo", "user/echo:1"))
    assert found["Name"] == "echo"
    assert found["Mode"] == {"Replicated": {"Replicas": 2}}
    assert found["EndpointSpec"] == {"Mode": "dnsrr"}
    task = found["TaskTemplate"]
    assert task["Networks"] == [{"Target": "net-id"}]
    assert task["Placement"] == {"Constraints": ["node.platform.os == linux"]}
    assert task["RestartPolicy"] == {"Condition": "any", "Delay": SECOND}
    update = found["UpdateConfig"]
    assert (update["Order"], update["Parallelism"], update["FailureAction"]) == ("start-first", 1, "rollback")


def test_a_replica_may_take_its_time_to_get_healthy() -> None:
    def start_period(function: FunctionSpec) -> object:
        return spec(function, start_timeout=120.0)["TaskTemplate"]["ContainerSpec"]["Healthcheck"]

    # How the health is checked stays the image's own.
    assert start_period(FunctionSpec("echo", "i")) == {"StartPeriod": 120 * SECOND}
    slow = FunctionSpec("echo", "i", annotations={"com.openfaas.health.http.initialDelay": "10m"})
    assert start_period(slow) == {"StartPeriod": 660 * SECOND}


def test_labels_and_annotations_are_kept_apart_and_cannot_pose_as_the_platforms() -> None:
    function = FunctionSpec(
        "echo",
        "i",
        labels={"team": "x", "com.swarmfn.exec_timeout": "1", "com.openfaas.function": "other"},
        annotations={"topic": "t"},
        registry_auth="c2VjcmV0",
    )
    labels = spec(function)["Labels"]
    stored = json.loads(labels.pop("com.swarmfn.function"))
    assert labels == {
        "team": "x",
        "com.openfaas.annotations.topic": "t",
        "com.openfaas.function": "echo",
        "function": "true",
        "com.swarmfn.exec_timeout": "60",
        "com.swarmfn.created": "2026-01-31T12:00:00Z",
    }
    assert "registryAuth" not in stored
    assert stored["labels"]["com.swarmfn.exec_timeout"] == "1"


def test_env_vars_win_over_the_image_and_the_image_over_the_platform() -> None:
    function = FunctionSpec("f", "i", env_process="cat", env_vars={"a": "b", "read_timeout": "7s"})
    found = environment(function, image_env={"write_timeout": "9s", "gateway_url": "http://own", "fprocess": "ls"})
    assert found == {
        "a": "b",
        "exec_timeout": "1m",
        "read_timeout": "7s",
        "healthcheck_interval": "2s",
        "fprocess": "cat",
    }


def test_braces_in_values_are_text_for_swarms_templates() -> None:
    found = environment(FunctionSpec("echo", "i", env_process="say {{x}}", env_vars={"A": "{{.Node.ID}}", "B": "}}{"}))
    assert (found["A"], found["B"]) == ('{{"{{"}}.Node.ID}}', "}}{")
    assert found["fprocess"] == 'say {{"{{"}}x}}'


def test_the_grace_period_covers_the_longest_call_and_what_the_image_says() -> None:
    def grace(function: FunctionSpec, **given: Any) -> float:
        period = spec(function, **given)["TaskTemplate"]["ContainerSpec"]["StopGracePeriod"]
        return float(period / SECOND)

    assert grace(FunctionSpec("f", "i")) == 64
    assert grace(FunctionSpec("f", "i", env_vars={"exec_timeout": "5m"})) == 304
    assert grace(FunctionSpec("f", "i"), image_env={"write_timeout": "2m", "healthcheck_interval": "10s"}) == 132


def test_a_constraint_about_the_platform_replaces_the_default() -> None:
    windows = FunctionSpec("f", "i", constraints=("node.platform.os==windows",))
    assert spec(windows)["TaskTemplate"]["Placement"]["Constraints"] == ["node.platform.os==windows"]
    fast = FunctionSpec("f", "i", constraints=("node.labels.disk == fast",))
    expected = ["node.platform.os == linux", "node.labels.disk == fast"]
    assert spec(fast)["TaskTemplate"]["Placement"]["Constraints"] == expected


@pytest.mark.parametrize("text", ["node.role == worker", "node.labels.a-b!=x y", " node.hostname == n1 "])
def test_constraints_are_as_swarm_writes_them(text: str) -> None:
    check_constraints(FunctionSpec("f", "i", constraints=(text,)))


@pytest.mark.parametrize("text", ["", "somewhere", "a = b", "a == b == c", "== x", "a ==", "a === b"])
def test_other_constraints_are_refused(text: str) -> None:
    with pytest.raises(InvalidFunction, match="constraints"):
        check_constraints(FunctionSpec("f", "i", constraints=(text,)))


def test_amounts_are_the_engines_and_never_below_its_least() -> None:
    function = FunctionSpec("f", "i", limits=Resources("1Mi", "500m"), requests=Resources("128Mi", ""))
    assert spec(function)["TaskTemplate"]["Resources"] == {
        "Limits": {"MemoryBytes": 6 * 2**20, "NanoCPUs": 500_000_000, "Pids": 2048},
        "Reservations": {"MemoryBytes": 128 * 2**20},
    }
    assert len(warnings(function)) == 1
    assert "limits.memory of 1Mi" in warnings(function)[0]
    limits = {"MemoryBytes": 2**30, "Pids": 2048}
    assert spec(FunctionSpec("f", "i"))["TaskTemplate"]["Resources"] == {"Limits": limits}


def test_secrets_and_a_read_only_root() -> None:
    function = FunctionSpec("f", "i", secrets=("key",), read_only_root=True)
    container = spec(function, secrets={"key": "secret-id"})["TaskTemplate"]["ContainerSpec"]
    (secret,) = container["Secrets"]
    assert (secret["SecretID"], secret["SecretName"]) == ("secret-id", "key")
    assert (secret["File"]["Name"], secret["File"]["Mode"]) == ("/var/openfaas/secrets/key", 0o444)
    assert container["ReadOnly"] is True
    assert container["Mounts"] == [{"Type": "tmpfs", "Target": "/tmp"}]
