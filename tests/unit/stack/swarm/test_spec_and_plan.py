"""From the compose file to specifications, and from those to what has to change."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from stack.compose.loading import load_compose
from stack.compose.model import Service
from stack.errors import StackError
from stack.state import Settings
from stack.swarm.deployment import stages_of
from stack.swarm.plan import differs, make_plan
from stack.swarm.preparation import variables_of
from stack.swarm.spec import SPEC_MARK, TASK_MARK, Reference, SpecContext, service_spec
from swarmfn.provider.swarm.documents import ContainerSpec, ServiceSpec
from tests.support.processes import REPOSITORY

COMPOSE = load_compose(REPOSITORY / "docker-compose.swarm.yml", {})
CONTEXT = SpecContext(
    stack="mine",
    images={"gateway": "sha256:1", "worker": "sha256:1", "redis": "redis@sha256:2"},
    networks={"functions": "net-f", "data": "net-d"},
    configs={"redis-settings": Reference("c1", "mine_redis-settings-abc")},
    secrets={name: Reference(f"id-{name}", f"mine_{name}") for name in COMPOSE.secrets},
    data_node="node-1",
)


def spec_of(name: str, context: SpecContext = CONTEXT, **changes: Any) -> ServiceSpec:
    return service_spec(replace(COMPOSE.services[name], **changes), context)


def container_of(spec: ServiceSpec) -> ContainerSpec:
    return spec["TaskTemplate"]["ContainerSpec"]


def test_a_service_belongs_to_the_stack_and_is_found_by_its_plain_name() -> None:
    spec = spec_of("gateway")
    assert spec["Name"] == "mine_gateway"
    assert spec["Labels"]["com.docker.stack.namespace"] == "mine"
    assert container_of(spec)["Labels"]["com.docker.stack.namespace"] == "mine"
    assert spec["TaskTemplate"]["Networks"] == [
        {"Target": "net-d", "Aliases": ["gateway"]},
        {"Target": "net-f", "Aliases": ["gateway.openfaas", "gateway"]},
    ]


def test_a_container_gets_what_the_file_says() -> None:
    container = container_of(spec_of("gateway"))
    assert container["Image"] == "sha256:1"
    assert container["Args"] == ["python", "-m", "gateway"]
    assert container["User"] == "root"
    assert "exec_timeout=60s" in container["Env"]
    assert container["StopGracePeriod"] == 75 * 10**9
    assert container["Healthcheck"]["Test"][-2:] == ["gateway", "/tmp/is-well"]
    assert container["Healthcheck"]["Interval"] == 10**9
    assert {"Type": "bind", "Source": "/var/run/docker.sock", "Target": "/var/run/docker.sock"} in container["Mounts"]


@pytest.mark.parametrize(("name", "added"), [("gateway", None), ("worker", None), ("redis", ["CAP_DAC_OVERRIDE"])])
def test_the_platforms_own_containers_are_confined(name: str, added: list[str] | None) -> None:
    spec = spec_of(name)
    container = container_of(spec)
    assert (container["Init"], container["ReadOnly"], container["CapabilityDrop"]) == (True, True, ["ALL"])
    assert container.get("CapabilityAdd") == added
    assert {"Type": "tmpfs", "Target": "/tmp"} in container["Mounts"]
    assert {"MemoryBytes", "Pids"} <= spec["TaskTemplate"]["Resources"]["Limits"].keys()
    assert "Privileges" not in container
    newer = container_of(spec_of(name, replace(CONTEXT, has_no_new_privileges=True)))
    assert newer["Privileges"] == {"NoNewPrivileges": True}


def test_secrets_and_configs_are_files_readable_in_the_container() -> None:
    container = container_of(spec_of("redis"))
    file = {"Name": "/run/secrets/redis-password", "UID": "0", "GID": "0", "Mode": 0o444}
    assert container["Secrets"] == [
        {"SecretID": "id-redis-password", "SecretName": "mine_redis-password", "File": file}
    ]
    assert container["Configs"][0]["ConfigName"] == "mine_redis-settings-abc"
    assert container["Configs"][0]["File"]["Name"] == "/etc/redis/settings.conf"


def test_data_stays_on_its_node_and_nothing_else_does() -> None:
    constraints = {
        name: spec_of(name)["TaskTemplate"]["Placement"]["Constraints"] for name in ("gateway", "worker", "redis")
    }
    assert constraints == {
        "gateway": ["node.role == manager"],
        "worker": [],
        "redis": ["node.role == manager", "node.id == node-1"],
    }
    assert {"Type": "volume", "Source": "mine_redis-data", "Target": "/data"}.items() <= container_of(spec_of("redis"))[
        "Mounts"
    ][0].items()


def test_the_gateways_port_is_published_by_its_node() -> None:
    assert spec_of("gateway")["EndpointSpec"] == {
        "Mode": "dnsrr",
        "Ports": [{"Protocol": "tcp", "TargetPort": 8080, "PublishedPort": 8080, "PublishMode": "host"}],
    }


def test_a_management_port_is_published_only_if_it_is_set() -> None:
    unset = load_compose(REPOSITORY / "docker-compose.swarm.yml", variables_of(Settings(), {}))
    assert [(port.published, port.target) for port in unset.services["gateway"].ports] == [(8080, 8080)]
    variables = variables_of(Settings(management_port=9090), {})
    compose = load_compose(REPOSITORY / "docker-compose.swarm.yml", variables)
    assert compose.services["gateway"].environment["management_port"] == "9090"
    assert [(port.published, port.target) for port in compose.services["gateway"].ports] == [(8080, 8080), (9090, 9090)]


def test_no_password_is_in_a_specification() -> None:
    assert "password" not in str([spec_of(name)["TaskTemplate"]["ContainerSpec"]["Env"] for name in COMPOSE.services])


def test_the_marks_change_with_what_they_are_of() -> None:
    one, other = spec_of("worker"), spec_of("worker", environment={"log_format": "json"})
    more = spec_of("worker", deploy=replace(COMPOSE.services["worker"].deploy, replicas=3))
    marks = [(spec["Labels"][SPEC_MARK], container_of(spec)["Labels"][TASK_MARK]) for spec in (one, other, more)]
    assert marks[0] == (spec_of("worker")["Labels"][SPEC_MARK], container_of(spec_of("worker"))["Labels"][TASK_MARK])
    assert marks[1][0] != marks[0][0]
    assert marks[1][1] != marks[0][1]
    # More replicas are another specification, made of the same replicas: those that run go on.
    assert marks[2][0] != marks[0][0]
    assert marks[2][1] == marks[0][1]


def test_a_replica_with_another_port_is_another_replica() -> None:
    ports = COMPOSE.services["gateway"].ports
    moved = spec_of("gateway", ports=tuple(replace(port, published=9000) for port in ports))
    assert container_of(moved)["Labels"][TASK_MARK] != container_of(spec_of("gateway"))["Labels"][TASK_MARK]


def as_the_engine_has_it(spec: ServiceSpec) -> ServiceSpec:
    """With the defaults that an engine adds, and without what it drops."""
    found: Any = copy.deepcopy(spec)
    found["TaskTemplate"].update(ForceUpdate=0, Runtime="container")
    container = found["TaskTemplate"]["ContainerSpec"]
    container.update(Isolation="default", DNSConfig={})
    for empty in ("Secrets", "Configs", "Mounts"):
        if not container[empty]:
            del container[empty]
    found["TaskTemplate"]["Resources"] = {
        key: value for key, value in found["TaskTemplate"]["Resources"].items() if value
    }
    if not found["EndpointSpec"]["Ports"]:
        del found["EndpointSpec"]["Ports"]
    del found["UpdateConfig"]["Delay"]
    found["UpdateConfig"]["MaxFailureRatio"] = 0
    result: ServiceSpec = found
    return result


@pytest.mark.parametrize("name", ["gateway", "worker", "redis"])
def test_what_the_engine_adds_is_no_difference(name: str) -> None:
    assert not differs(spec_of(name), as_the_engine_has_it(spec_of(name)))


def test_what_someone_changed_by_hand_is_a_difference() -> None:
    wanted = spec_of("worker")
    scaled, image, env = (as_the_engine_has_it(wanted) for _ in range(3))
    scaled["Mode"]["Replicated"]["Replicas"] = 4
    container_of(image)["Image"] = "other"
    container_of(env)["Env"].append("more=1")
    assert [differs(wanted, present) for present in (scaled, image, env)] == [True, True, True]


def test_a_service_without_our_mark_is_brought_under_it() -> None:
    present = as_the_engine_has_it(spec_of("worker"))
    del present["Labels"][SPEC_MARK]
    assert differs(spec_of("worker"), present)


def bare(name: str, mark: str = "") -> ServiceSpec:
    return {"Name": name, "Labels": {SPEC_MARK: mark}, "TaskTemplate": {"ContainerSpec": {"Image": name}}}


def test_a_plan_creates_updates_and_removes() -> None:
    a, b, c = (bare(name, name) for name in "abc")
    plan = make_plan({"a": a, "b": b}, {"b": bare("b", "old"), "c": c})
    assert (plan.create, plan.update, plan.remove) == (("a",), ("b",), ("c",))
    assert not plan.is_empty
    assert make_plan({"a": a}, {"a": a}).is_empty


def services(**dependencies: tuple[str, ...]) -> dict[str, Service]:
    return {name: Service(name, "i", depends_on=needs) for name, needs in dependencies.items()}


def test_services_follow_those_they_depend_on() -> None:
    specs = {name: bare(name) for name in "abcd"}
    stages = stages_of(services(a=("b",), b=(), c=("a", "d"), d=()), specs)
    assert [[spec["Name"] for spec in stage] for stage in stages] == [["b", "d"], ["a"], ["c"]]


def test_a_circle_of_services_is_refused() -> None:
    with pytest.raises(StackError, match="in a circle: a, b"):
        stages_of(services(a=("b",), b=("a",)), {"a": bare("a"), "b": bare("b")})


def test_redis_is_there_before_those_who_need_it() -> None:
    stages = stages_of(COMPOSE.services, {name: bare(name) for name in COMPOSE.services})
    assert [{spec["Name"] for spec in stage} for stage in stages] == [{"redis"}, {"gateway", "worker"}]
