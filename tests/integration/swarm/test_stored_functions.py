"""Functions go away with the stack and come back as they were."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from docker.types import ConfigReference, ContainerSpec, NetworkAttachmentConfig, SecretReference, TaskTemplate

from stack.errors import StackError
from stack.swarm.function_services import function_services
from stack.swarm.stored_functions import (
    config_name,
    forget,
    put_away,
    restore,
    stored_configs,
    stored_images,
)
from tests.support.base_image import NAME as BASE
from tests.support.swarm_services import remove_networks

STACK = "storing"
NETWORK = f"{STACK}_functions"


@pytest.fixture(autouse=True)
def network(client: docker.DockerClient) -> Iterator[None]:
    """A stack's functions network; whatever the test makes of functions goes with it."""
    _make_network(client, NETWORK)
    yield
    for service in client.services.list():
        service.remove()
    forget(client, STACK)
    for kind in (client.secrets, client.configs):
        for one in kind.list():
            one.remove()
    remove_networks(client)


def _make_network(client: docker.DockerClient, name: str) -> None:
    client.networks.create(name, driver="overlay", attachable=True, labels={"openfaas": "true"})


def make_function(client: docker.DockerClient, name: str, network: str = NETWORK, **options: Any) -> None:
    container = ContainerSpec(BASE, command=["sleep", "inf"], stop_signal="SIGKILL", **options)
    client.api.create_service(
        TaskTemplate(container, networks=[NetworkAttachmentConfig(network, aliases=[name])]),
        name=name,
        labels={"com.openfaas.function": name, "function": "true", "com.openfaas.annotations.topic": "x"},
        mode={"Replicated": {"Replicas": 0}},
        endpoint_spec={"Mode": "dnsrr"},
        update_config={"Parallelism": 1, "FailureAction": "rollback", "Order": "start-first"},
        rollback_config={"Parallelism": 1, "Order": "start-first"},
    )


def specs(client: docker.DockerClient) -> dict[str, Any]:
    return {service.name: service.attrs["Spec"] for service in client.services.list()}


def test_a_function_comes_back_as_it_was(client: docker.DockerClient) -> None:
    said: list[str] = []
    secret = client.secrets.create(name="key", data=b"x")
    config = client.configs.create(name="conf", data=b"x")
    make_function(
        client,
        "echo",
        env=["a=b"],
        read_only=True,
        secrets=[SecretReference(secret.id, "key", "/var/openfaas/secrets/key")],
        configs=[ConfigReference(config.id, "conf", "/etc/conf")],
    )
    make_function(client, "cat")
    client.services.get("cat").scale(3)
    before = specs(client)

    assert put_away(client, STACK, said.append) == ["cat", "echo"]
    assert specs(client) == {}
    assert stored_images(client) == {BASE}

    _make_anew(client)
    assert restore(client, STACK, said.append).names == ("cat", "echo")
    after = specs(client)
    assert _without_ids(after) == _without_ids(before)
    assert after["cat"]["Mode"] == {"Replicated": {"Replicas": 3}}
    assert client.networks.get(NETWORK).id == after["echo"]["TaskTemplate"]["Networks"][0]["Target"]
    assert stored_configs(client, STACK) == []
    assert "echo: restored" in said
    assert restore(client, STACK, said.append).names == ()


def _make_anew(client: docker.DockerClient) -> None:
    """What functions refer to, in new copies with other ids."""
    remove_networks(client, NETWORK)
    _make_network(client, NETWORK)
    client.secrets.get(client.secrets.list(filters={"name": "key"})[0].id).remove()
    client.secrets.create(name="key", data=b"y")


def _without_ids(found: dict[str, Any]) -> dict[str, Any]:
    found = copy.deepcopy(found)
    for spec in found.values():
        for network in spec["TaskTemplate"]["Networks"]:
            network["Target"] = ""
        for secret in spec["TaskTemplate"]["ContainerSpec"].get("Secrets") or ():
            secret["SecretID"] = ""
    return found


def test_functions_of_another_platform_are_left_alone(client: docker.DockerClient) -> None:
    _make_network(client, "other_functions")
    make_function(client, "theirs", network="other_functions")
    make_function(client, "ours")
    client.services.create(BASE, command=["sleep", "inf"], name="database", mode={"Replicated": {"Replicas": 0}})
    assert [service["Spec"]["Name"] for service in function_services(client, STACK)] == ["ours"]
    assert put_away(client, STACK, print) == ["ours"]
    assert set(specs(client)) == {"theirs", "database"}
    assert restore(client, "other", print).names == ()


def test_a_function_deployed_in_the_meantime_is_kept(client: docker.DockerClient) -> None:
    said: list[str] = []
    make_function(client, "echo", env=["version=1"])
    put_away(client, STACK, said.append)
    make_function(client, "echo", env=["version=2"])
    result = restore(client, STACK, said.append)
    assert (result.names, result.problems) == ((), {})
    assert specs(client)["echo"]["TaskTemplate"]["ContainerSpec"]["Env"] == ["version=2"]
    assert any("deployed again in the meantime" in line for line in said)
    assert stored_configs(client, STACK) == []


def test_one_that_cannot_come_back_stays_stored_and_holds_up_no_other(client: docker.DockerClient) -> None:
    secret = client.secrets.create(name="key", data=b"x")
    make_function(client, "needy", secrets=[SecretReference(secret.id, "key", "/x")])
    make_function(client, "plain")
    put_away(client, STACK, print)
    secret.remove()
    result = restore(client, STACK, print)
    assert result.names == ("plain",)
    assert 'secret "key"' in result.problems["needy"]

    client.secrets.create(name="key", data=b"y")
    assert restore(client, STACK, print).names == ("needy",)


def test_what_was_stored_before_is_replaced(client: docker.DockerClient) -> None:
    client.configs.create(
        name=config_name(STACK, "echo"),
        data=b"half a definition",
        labels={"com.swarmfn.stack": STACK, "com.swarmfn.stored-function": "echo"},
    )
    make_function(client, "echo")
    put_away(client, STACK, print)
    assert restore(client, STACK, print).names == ("echo",)


def test_a_function_too_large_to_keep_is_not_removed(client: docker.DockerClient) -> None:
    make_function(client, "large", env=[f"v{n}={'x' * 1000}" for n in range(600)])
    with pytest.raises(StackError, match=r'cannot keep the function "large".* at most 500 KiB'):
        put_away(client, STACK, print)
    assert set(specs(client)) == {"large"}


def test_the_largest_definition_and_the_longest_name_fit(client: docker.DockerClient) -> None:
    name = "f" * 63
    make_function(client, name, env=[f"v{n}={'x' * 1000}" for n in range(480)])
    put_away(client, STACK, print)
    assert restore(client, STACK, print).names == (name,)


def test_forgetting_deletes_every_definition_of_the_stack(client: docker.DockerClient) -> None:
    make_function(client, "echo")
    put_away(client, STACK, print)
    assert forget(client, "another") == []
    assert forget(client, STACK) == ["echo"]
    assert client.configs.list() == []
