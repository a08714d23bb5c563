"""What functions are on Swarm, seen by the engine and by people who use it directly."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

import docker
import pytest

from swarmfn.provider.swarm import SwarmProvider
from swarmfn.wire.errors import EngineUnavailable, FunctionNotFound, InvalidFunction, InvalidRequest
from swarmfn.wire.functions import FunctionSpec, Resources
from tests.contract.provider.calls import call_function, wait_for_replicas
from tests.contract.provider.swarm_engine import IMAGE, NETWORK, Swarm, SwarmEngine
from tests.support.swarm_services import remove_networks
from tests.support.waiting import wait_until


@pytest.fixture
def secrets(swarm: Swarm) -> Iterator[None]:
    made = [
        swarm.client.secrets.create(name="api-key", data=b"s3cret\x00", labels={"com.openfaas.owner": "openfaas"}),
        swarm.client.secrets.create(name="api-key-2", data=b"other", labels={"com.openfaas.owner": "openfaas"}),
        swarm.client.secrets.create(name="basic-auth-password", data=b"the admin's"),
    ]
    yield
    swarm.remove_functions()
    for secret in made:
        wait_until(functools.partial(_removed, secret))


def _removed(secret: docker.models.secrets.Secret) -> bool:
    """Not before the last task that has it is gone."""
    try:
        secret.remove()
    except docker.errors.APIError as exc:
        if exc.status_code == 404:
            return True
        raise AssertionError(exc) from exc
    return True


def by_hand(
    swarm: Swarm, name: str, labels: dict[str, str], command: str = "cat", replicas: int = 1
) -> docker.models.services.Service:
    return swarm.client.services.create(
        IMAGE,
        name=name,
        labels=labels,
        env=[f"fprocess={command}", "team=x"],
        networks=[NETWORK],
        endpoint_spec=docker.types.EndpointSpec(mode="dnsrr"),
        mode=docker.types.ServiceMode("replicated", replicas),
    )


def test_secrets_are_files_that_every_user_in_the_container_can_read(
    engine: SwarmEngine, provider: SwarmProvider, secrets: None
) -> None:
    provider.deploy(replace(engine.echo("show"), env_process="cat /var/openfaas/secrets/api-key", secrets=("api-key",)))
    assert call_function(engine, "show").body == "s3cret\x00"
    mode = engine.container("show").exec_run(["stat", "-c", "%a", "/var/openfaas/secrets/api-key"])
    assert mode.output == b"444\n"
    assert provider.get("show").spec.secrets == ("api-key",)


@pytest.mark.parametrize("name", ["api", "basic-auth-password"], ids=["absent", "the platform's"])
def test_a_function_gets_no_secret_that_is_not_for_functions(
    engine: SwarmEngine, provider: SwarmProvider, secrets: None, name: str
) -> None:
    with pytest.raises(InvalidFunction, match=f"secrets: there is no secret '{name}'"):
        provider.deploy(replace(engine.echo("curious"), secrets=(name,)))
    assert provider.functions() == []


def test_a_read_only_root_leaves_a_place_for_temporary_files(engine: SwarmEngine, provider: SwarmProvider) -> None:
    provider.deploy(replace(engine.echo("sealed"), read_only_root=True))
    assert call_function(engine, "sealed", "works").body == "works"
    container = engine.container("sealed")
    assert container.exec_run(["touch", "/tmp/file"]).exit_code == 0
    assert b"Read-only" in container.exec_run(["touch", "/file"]).output


def test_limits_hold_and_too_little_memory_is_raised_to_the_least_there_is(
    engine: SwarmEngine, provider: SwarmProvider, caplog: pytest.LogCaptureFixture
) -> None:
    function = replace(engine.echo("small"), limits=Resources(memory="1Mi", cpu="500m"))
    provider.deploy(function)
    assert provider.get("small").spec == function
    found = engine.service("small").attrs["Spec"]["TaskTemplate"]["Resources"]["Limits"]
    assert found == {"MemoryBytes": 6 * 2**20, "NanoCPUs": 500_000_000, "Pids": 2048}
    assert "raised to 6Mi" in caplog.text


def test_a_replica_has_few_privileges_and_few_processes(engine: SwarmEngine, provider: SwarmProvider) -> None:
    provider.deploy(replace(engine.echo("modest"), env_process="cat /proc/1/comm /proc/self/status"))
    lines = call_function(engine, "modest").body.splitlines()
    assert lines[0] in ("docker-init", "tini")
    (bounding,) = [int(line.split()[1], 16) for line in lines if line.startswith("CapBnd:")]
    # CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID and NET_BIND_SERVICE by their numbers in capability.h.
    assert bounding == sum(1 << number for number in (0, 1, 3, 5, 6, 7, 10))
    assert engine.container("modest").attrs["HostConfig"]["PidsLimit"] == 2048
    # This engine's API is too old for it, and the gateway can say so.
    has_bit = "NoNewPrivs:\t1" in lines
    assert has_bit == (not provider.shortcomings())


def test_the_images_own_health_check_gets_the_time_that_the_function_asks_for(
    engine: SwarmEngine, provider: SwarmProvider
) -> None:
    slow = replace(engine.echo("slow"), annotations={"com.openfaas.health.http.initialDelay": "10m"})
    provider.deploy(slow)
    assert call_function(engine, "slow", "up").body == "up"
    check = engine.container("slow").attrs["Config"]["Healthcheck"]
    image = engine.swarm.client.images.get(IMAGE).attrs["Config"]["Healthcheck"]
    assert check == {**image, "StartPeriod": 660 * 10**9}


def test_a_network_can_be_named_and_must_be_one_for_functions(engine: SwarmEngine, provider: SwarmProvider) -> None:
    provider.deploy(replace(engine.echo("echo"), network=NETWORK))
    assert call_function(engine, "echo", "there").body == "there"
    data = engine.swarm.client.networks.create("contract_data", driver="overlay", internal=True)
    try:
        for network in (NETWORK[:-1], "contract_data"):
            with pytest.raises(InvalidFunction, match=f'network.*"{network}" is not a network for functions'):
                provider.deploy(replace(engine.echo("other"), network=network))
            with pytest.raises(InvalidFunction, match="network"):
                provider.update(replace(engine.echo("echo"), network=network))
    finally:
        data.remove()


def test_a_swarm_without_a_network_for_functions_says_so(engine: SwarmEngine) -> None:
    elsewhere = engine.open(network="contract_func")
    try:
        with pytest.raises(EngineUnavailable, match="contract_func"):
            elsewhere.deploy(engine.echo("echo"))
    finally:
        elsewhere.close()


def test_functions_of_another_stack_are_left_alone(engine: SwarmEngine, swarm: Swarm) -> None:
    swarm.client.networks.create("contract_other", driver="overlay", labels={"openfaas": "true"})
    ours, theirs = engine.open(network=NETWORK), engine.open(network="contract_other")
    try:
        ours.deploy(engine.echo("echo"))
        wait_for_replicas(ours, "echo", 1)
        theirs.deploy(engine.echo("cat"))
        wait_until(lambda: set(theirs.table()) == {"cat"})
        assert [found.spec.name for found in theirs.functions()] == ["cat"]
        with pytest.raises(FunctionNotFound):
            theirs.remove("echo")
        with pytest.raises(FunctionNotFound):
            theirs.scale("echo", 0)
        with pytest.raises(InvalidFunction, match="not a function of this stack"):
            theirs.deploy(engine.echo("echo"))
        with pytest.raises(InvalidFunction, match="not a network for functions"):
            theirs.deploy(replace(engine.echo("spy"), network=NETWORK))
        assert set(ours.table()) == {"echo"}
    finally:
        ours.close()
        theirs.close()
        swarm.remove_functions()
        remove_networks(swarm.client, "contract_other")


def test_new_labels_replace_no_replica(engine: SwarmEngine, provider: SwarmProvider) -> None:
    provider.deploy(engine.identifying("who"))
    before = call_function(engine, "who")
    template = engine.service("who").attrs["Spec"]["TaskTemplate"]
    changed = replace(engine.identifying("who"), labels={"team": "y"}, annotations={"topic": "t"})
    provider.update(changed)
    assert provider.get("who").spec == changed
    service = engine.service("who")
    assert service.attrs["Spec"]["Labels"]["team"] == "y"
    # Swarm replaces tasks when this differs, and only then.
    assert service.attrs["Spec"]["TaskTemplate"] == template
    assert len(service.tasks()) == 1
    assert call_function(engine, "who") == before


def test_the_registrys_password_is_not_kept_where_others_read_it(engine: SwarmEngine, provider: SwarmProvider) -> None:
    provider.deploy(replace(engine.echo("private"), registry_auth="dXNlcjpwYXNzd29yZA=="))
    shown = str(engine.service("private").attrs)
    assert "dXNlcjpwYXNzd29yZA" not in shown
    assert "password" not in shown
    with pytest.raises(InvalidFunction, match="registryAuth"):
        provider.deploy(replace(engine.echo("other"), registry_auth="user:password"))


def test_a_service_made_by_hand_is_a_function(engine: SwarmEngine, provider: SwarmProvider, swarm: Swarm) -> None:
    labels = {"com.openfaas.function": "hand", "function": "true", "own": "1", "com.openfaas.annotations.topic": "t"}
    by_hand(swarm, "hand", labels)
    wait_until(lambda: "hand" in provider.table())
    assert call_function(engine, "hand", "hello").body == "hello"
    spec = provider.get("hand").spec
    assert spec == FunctionSpec(
        "hand", IMAGE, "cat", env_vars={"team": "x"}, labels={"own": "1"}, annotations={"topic": "t"}
    )
    provider.scale("hand", 2)
    wait_for_replicas(provider, "hand", 2)
    provider.update(replace(spec, env_process="answer changed"))
    wait_until(lambda: call_function(engine, "hand").body == "changed")
    assert provider.get("hand").replicas == 2
    provider.remove("hand")
    with pytest.raises(docker.errors.NotFound):
        engine.service("hand")


def test_what_is_changed_by_hand_is_seen(engine: SwarmEngine, provider: SwarmProvider, swarm: Swarm) -> None:
    provider.deploy(engine.echo("echo"))
    swarm.client.images.get(IMAGE).tag("contract/functions", "2")
    engine.service("echo").scale(2)
    wait_for_replicas(provider, "echo", 2)
    engine.service("echo").update(image="contract/functions:2")
    wait_until(lambda: provider.get("echo").spec.image == "contract/functions:2")
    engine.service("echo").remove()
    wait_until(lambda: "echo" not in provider.table())


def test_a_function_of_another_service_name_is_found_by_its_label(
    engine: SwarmEngine, provider: SwarmProvider, swarm: Swarm
) -> None:
    by_hand(swarm, "stack_greet", {"com.openfaas.function": "greet"}, "answer hello", replicas=0)
    wait_until(lambda: "greet" in provider.table())
    provider.scale("greet", 1)
    assert call_function(engine, "greet").body == "hello"
    assert "stack_greet" not in provider.table()


def test_services_that_are_no_functions_are_left_alone(
    engine: SwarmEngine, provider: SwarmProvider, swarm: Swarm
) -> None:
    other = by_hand(swarm, "database", {"com.docker.stack.namespace": "shop"}, replicas=0)
    try:
        with pytest.raises(InvalidFunction, match="not a function"):
            provider.deploy(engine.echo("database"))
        assert dict(provider.table()) == {}
        other.reload()
        assert other.attrs["Spec"]["Labels"] == {"com.docker.stack.namespace": "shop"}
    finally:
        other.remove()


@pytest.mark.parametrize("name", ["gateway", "redis", "worker", "Gateway", "callbacks"])
def test_the_stacks_own_names_are_refused(engine: SwarmEngine, provider: SwarmProvider, name: str) -> None:
    with pytest.raises(InvalidFunction, match="part of the platform"):
        provider.deploy(engine.echo(name))


def test_a_function_on_every_node_cannot_be_scaled(engine: SwarmEngine, provider: SwarmProvider, swarm: Swarm) -> None:
    swarm.client.services.create(
        IMAGE,
        name="everywhere",
        labels={"com.openfaas.function": "everywhere"},
        env=["fprocess=cat"],
        networks=[NETWORK],
        mode=docker.types.ServiceMode("global"),
        endpoint_spec=docker.types.EndpointSpec(mode="dnsrr"),
    )
    wait_until(lambda: "everywhere" in provider.table())
    assert call_function(engine, "everywhere", "x").body == "x"
    assert provider.get("everywhere").replicas == 1
    with pytest.raises(InvalidRequest, match="every node"):
        provider.scale("everywhere", 3)
