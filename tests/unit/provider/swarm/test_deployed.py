"""Functions read back from services, also those that others made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from swarmfn.provider.swarm.deployed import deployed_function, deployed_functions
from swarmfn.provider.swarm.documents import ServiceSpec
from swarmfn.provider.swarm.references import check_image, without_digest
from swarmfn.provider.swarm.service_spec import ServiceContext, service_spec
from swarmfn.wire.errors import InvalidFunction
from swarmfn.wire.functions import FunctionSpec, Resources

CONTEXT = ServiceContext("net", "http://gateway:8080", 60.0, 1.0, secrets={"key": "id"})
FULL = FunctionSpec(
    "echo",
    "docker.io/user/echo:1",
    env_process="cat",
    env_vars={"exec_timeout": "5s"},
    labels={"function": "mine", "com.swarmfn.x": "y"},
    annotations={"topic": "t"},
    secrets=("key",),
    constraints=("node.role == worker",),
    limits=Resources("1Mi", "100m"),
    read_only_root=True,
    network="net",
)
DIGEST = "@sha256:" + "0" * 64


def service(spec: ServiceSpec, **more: Any) -> Any:
    return {"ID": "id-" + spec["Name"], "CreatedAt": "2026-01-31T12:00:00.123456789Z", "Spec": spec, **more}


def by_hand(name: str, labels: dict[str, str], created: str = "2026-01-31T12:00:00Z", **task: Any) -> Any:
    container = {"Image": "user/echo:1" + DIGEST, "Env": ["fprocess=cat", "a=b=c", "flag"]}
    spec: Any = {
        "Name": name,
        "Labels": labels,
        "TaskTemplate": {"ContainerSpec": container, **task},
        "Mode": {"Replicated": {"Replicas": 3}},
    }
    return {**service(spec), "CreatedAt": created}


def test_a_function_comes_back_exactly_as_it_was_deployed() -> None:
    found = deployed_function(service(service_spec(FULL, CONTEXT, 2, "2026-01-30T00:00:00Z")), 60.0)
    assert found.function == FULL
    assert (found.replicas, found.created_at, found.exec_timeout) == (2, "2026-01-30T00:00:00Z", 5.0)


def test_an_image_that_was_changed_by_hand_counts() -> None:
    spec = service_spec(FULL, CONTEXT, 2, "x")
    spec["TaskTemplate"]["ContainerSpec"]["Image"] = "user/echo:2" + DIGEST
    assert deployed_function(service(spec), 60.0).function == replace(FULL, image="user/echo:2")


def test_a_service_of_another_maker_is_described_by_what_it_has() -> None:
    labels = {"com.openfaas.function": "echo", "function": "true", "own": "1", "com.openfaas.annotations.topic": "t"}
    resources = {"Limits": {"MemoryBytes": 1024, "NanoCPUs": 500_000_000}}
    found = deployed_function(by_hand("stack_echo", labels, Resources=resources), 60.0)
    assert found.function == FunctionSpec(
        "echo",
        "user/echo:1",
        env_process="cat",
        env_vars={"a": "b=c", "flag": ""},
        labels={"own": "1"},
        annotations={"topic": "t"},
        limits=Resources("1024", "0.5"),
    )
    assert (found.service_name, found.replicas, found.exec_timeout) == ("stack_echo", 3, 60.0)


def test_a_damaged_description_is_passed_over() -> None:
    for text in ("{", "[]", '{"service": "other", "image": "x"}', '{"service": "echo"}'):
        labels = {"com.openfaas.function": "echo", "com.swarmfn.function": text, "com.swarmfn.exec_timeout": "soon"}
        assert deployed_function(by_hand("echo", labels), 60.0).function.image == "user/echo:1"


def test_what_cannot_be_a_function_is_left_out() -> None:
    job = by_hand("job", {"com.openfaas.function": "job"})
    job["Spec"]["Mode"] = {"ReplicatedJob": {}}
    bad = by_hand("bad", {"com.openfaas.function": "no such name!"})
    plugin = by_hand("plugin", {"com.openfaas.function": "plugin"})
    del plugin["Spec"]["TaskTemplate"]["ContainerSpec"]
    fine = by_hand("fine", {"com.openfaas.function": ""})
    assert list(deployed_functions([job, bad, plugin, fine], 60.0)) == ["fine"]


def test_of_two_services_for_one_name_the_one_called_so_is_meant_else_the_older() -> None:
    labels = {"com.openfaas.function": "echo"}
    older, newer = by_hand("a_echo", labels, "2026-01-01T00:00:00Z"), by_hand("b_echo", labels, "2026-01-02T00:00:00Z")
    named = by_hand("echo", labels, "2026-01-03T00:00:00Z")
    assert deployed_functions([newer, older], 60.0)["echo"].service_name == "a_echo"
    assert deployed_functions([named, newer, older], 60.0)["echo"].service_name == "echo"


@pytest.mark.parametrize(
    "image", ["echo", "user/echo:1.0", "host.example:5000/a/b_c:Tag", "localhost/x", "e@sha256:" + "a" * 64]
)
def test_names_of_images_are_accepted(image: str) -> None:
    check_image(image)


@pytest.mark.parametrize("image", ["dir:/x", "a b", "x:y:z", "http://host/x", "", "a//b", "echo:", "x" * 2000])
def test_other_names_are_refused(image: str) -> None:
    with pytest.raises(InvalidFunction, match="image"):
        check_image(image)


def test_only_the_digest_that_the_docker_command_adds_is_taken_off() -> None:
    assert without_digest("user/echo:1" + DIGEST) == "user/echo:1"
    assert without_digest("user/echo" + DIGEST) == "user/echo" + DIGEST
    assert without_digest("host:5000/echo" + DIGEST) == "host:5000/echo" + DIGEST
