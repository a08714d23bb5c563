"""docker-compose.swarm.yml as data."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings import Settings
from stack.compose.loading import load_compose
from stack.compose.model import (
    Config,
    Deploy,
    Grant,
    Healthcheck,
    Logging,
    Mount,
    Network,
    Port,
    Resources,
    RestartPolicy,
    Rollout,
    Secret,
    Tmpfs,
    Volume,
)
from stack.errors import ComposeFileError
from tests.support.processes import REPOSITORY

COMPOSE = REPOSITORY / "docker-compose.swarm.yml"

EVERYTHING = """
version: "3.8"
x-common: &common {driver: json-file, options: {max-file: 3}}
services:
  web:
    image: ${IMAGE:-web:1}
    command: serve --name 'the one'
    user: root
    environment: {count: 3, is_on: true, text: "$${kept} ${WORD}"}
    ports: ["80:8080", {target: 53, published: 53, protocol: udp, mode: host}]
    networks: [front]
    secrets: [key, {source: key, target: other, mode: 0400}]
    configs: [{source: file, target: /etc/file}]
    volumes: [data:/data, "/var/run/docker.sock:/var/run/docker.sock:ro"]
    tmpfs: [/run]
    init: true
    read_only: true
    cap_drop: [ALL]
    cap_add: [CHOWN]
    healthcheck: {test: [CMD, check], interval: 2s, timeout: 1m, start_period: 10s, retries: 4}
    logging: *common
    stop_grace_period: 1m30s
    depends_on: [store]
    deploy:
      replicas: 2
      endpoint_mode: dnsrr
      placement: {constraints: [node.role == manager]}
      update_config: {order: start-first, parallelism: 2, failure_action: rollback, delay: 1s, monitor: 3s}
      rollback_config: {order: stop-first}
      restart_policy: {condition: on-failure, delay: 1s, max_attempts: 3, window: 2s}
      resources: {limits: {memory: 512M, cpus: "0.5", pids: 50}, reservations: {memory: 64Mi}}
  store: {image: store, healthcheck: {test: ping}, environment: [A=1, B=x=y]}
networks:
  front: {driver: overlay, attachable: true, internal: true, labels: {a: "true"}}
volumes: {data: {}}
configs: {file: {file: ./a.conf}}
secrets: {key: {external: true, name: the_key}}
"""


def write(tmp_path: Path, text: str) -> Path:
    (tmp_path / "a.conf").write_text("content of a file")
    path = tmp_path / "compose.yml"
    path.write_text(text)
    return path


def test_everything_a_file_may_say_is_read(tmp_path: Path) -> None:
    compose = load_compose(write(tmp_path, EVERYTHING), {"WORD": "put in"})
    web = compose.services["web"]
    assert (web.image, web.command, web.user) == ("web:1", ("serve", "--name", "the one"), "root")
    assert web.environment == {"count": "3", "is_on": "true", "text": "${kept} put in"}
    assert web.ports == (Port(8080, 80), Port(53, 53, "udp", "host"))
    assert web.secrets == (Grant("key", "/run/secrets/key"), Grant("key", "/run/secrets/other", 0o400))
    assert web.configs == (Grant("file", "/etc/file"),)
    assert web.mounts == (
        Mount("volume", "data", "/data"),
        Mount("bind", "/var/run/docker.sock", "/var/run/docker.sock", is_read_only=True),
    )
    assert (web.networks, web.tmpfs, web.depends_on) == (("front",), (Tmpfs("/run"),), ("store",))
    assert web.healthcheck == Healthcheck(("CMD", "check"), 2.0, 60.0, 10.0, 4)
    assert web.logging == Logging("json-file", {"max-file": "3"})
    assert web.stop_grace_period == 90.0
    assert (web.has_init, web.is_read_only, web.cap_drop, web.cap_add) == (True, True, ("ALL",), ("CHOWN",))
    assert web.deploy == Deploy(
        replicas=2,
        endpoint_mode="dnsrr",
        constraints=("node.role == manager",),
        update=Rollout(2, 1.0, "rollback", 3.0, "start-first"),
        rollback=Rollout(order="stop-first"),
        restart=RestartPolicy("on-failure", 1.0, 3, 2.0),
        limits=Resources(512 * 2**20, 0.5, 50),
        reservations=Resources(64 * 2**20),
    )
    store = compose.services["store"]
    assert store.healthcheck == Healthcheck(("CMD-SHELL", "ping"))
    assert store.environment == {"A": "1", "B": "x=y"}
    # Which store is in, since it names none.
    assert compose.networks == {
        "front": Network("front", "overlay", True, True, {"a": "true"}),
        "default": Network("default"),
    }
    assert (compose.volumes, compose.configs) == (
        {"data": Volume("data")},
        {"file": Config("file", b"content of a file")},
    )
    assert compose.secrets == {"key": Secret("key", "the_key")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: [", "cannot read"),
        ("[]", "the file: expected a mapping, got a list"),
        ("{}", "services: is missing"),
        ("services: {a: 1}", "services.a: expected a mapping, got 1"),
        ("services: {a: {}}", "services.a.image: is missing"),
        ("services: {a: {image: b, deploy: {replicas: many}}}", "services.a.deploy.replicas: expected a whole number"),
        ("services: {a: {image: b, stop_grace_period: soon}}", "services.a.stop_grace_period: expected seconds"),
        ("services: {a: {image: b, environment: {c: [d]}}}", "services.a.environment.c: expected a text, got a list"),
        ("services: {a: {image: b, environment: [c d=1]}}", r"services.a.environment\[0\]: expected KEY=VALUE"),
        ("services: {a: {image: b, env_file: none.env}}", r"services.a.env_file\[0\]: cannot read .*none\.env"),
        ("services: {a: {image: b, env_file: a.conf}}", r"env_file\[0\]: a\.conf:1: expected KEY=VALUE or KEY"),
        ("services: {a: {image: b, ports: ['80']}}", r"services.a.ports\[0\]: expected PUBLISHED:TARGET"),
        ("services: {a: {image: b, ports: [{target: 1}]}}", r"ports\[0\].published: is missing"),
        ("services: {a: {image: b, volumes: [data]}}", r"services.a.volumes\[0\]: expected SOURCE:TARGET"),
        ("services: {a: {image: b, healthcheck: {test: [ls]}}}", "services.a.healthcheck.test: expected a text or"),
        ("services: {a: {image: b, deploy: {endpoint_mode: x}}}", "endpoint_mode: expected vip or dnsrr, got 'x'"),
        ("services: {a: {image: b, networks: [c]}}", "services.a.networks: the file does not describe c"),
        ("services: {a: {image: b, depends_on: [c]}}", "services.a.depends_on: the file does not describe c"),
        ("services: {a: {image: b, ports: ['1-2:1-3']}}", "expected two ranges of equal length"),
        ("services: {a: {image: b, ports: ['127.0.0.1:1:1']}}", r"services.a.ports\[0\]: expected PUBLISHED:TARGET"),
        ("services: {a: {image: b, volumes: ['./d:/d']}}", r"volumes\[0\]: expected an absolute path"),
        ("services: {a: {image: b, volumes: ['d:/d']}}", r"volumes\[0\]: for Docker d: is a drive"),
        ("services: {a: {image: b, volumes: ['/d:/d:z']}}", r"volumes\[0\]: expected SOURCE:TARGET"),
        ("services: {a: {image: b, tmpfs: ['/run:exec']}}", r"tmpfs\[0\]: expected size=… and mode=… .* got 'exec'"),
        ("services: {a: {image: b, ulimits: {nofile: {soft: 1}}}}", "ulimits.nofile.hard: expected a whole number"),
        ("services: {a: {image: b, extra_hosts: [c]}}", r"extra_hosts\[0\]: expected NAME:ADDRESS"),
        (
            "services: {a: {image: b, healthcheck: {disable: true, test: c}}}",
            "healthcheck.disable: cannot be combined",
        ),
        (
            "services: {a: {image: b, deploy: {mode: global, replicas: 2}}}",
            "deploy.replicas: not allowed with mode global",
        ),
        ("services: {a: {image: b, deploy: {mode: global-job}}}", "deploy.mode: expected replicated or global"),
        (
            "services: {a: {image: b}}\nnetworks: {c: {external: true, driver: d}}",
            "c.driver: cannot be combined with",
        ),
        ("services: {a: {image: b}}\nsecrets: {c: {file: d}}", "secrets.c.external: expected true"),
        ("services: {a: {image: b}}\nnetworks: {c: {internal: maybe}}", "networks.c.internal: expected true or false"),
    ],
)
def test_a_bad_file_is_named_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ComposeFileError, match=message):
        load_compose(write(tmp_path, text), {})


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("services: {a: {image: b}}\nnetwork: {}", "network"),
        ("services: {a: {image: b, restart: always}}", r"services\.a\.restart"),
        ("services: {a: {image: b, container_name: c}}", r"services\.a\.container_name"),
        ("services: {a: {image: b, privileged: true}}", r"services\.a\.privileged"),
        ("services: {a: {image: b, networks: {default: {ipv4_address: 10.0.0.1}}}}", "default.ipv4_address"),
        ("services: {a: {image: b, deploy: {update_config: {paralellism: 1}}}}", "update_config.paralellism"),
        ("services: {a: {image: b, deploy: {resources: {limits: {disk: 1}}}}}", "resources.limits.disk"),
        ("services: {a: {image: b, ports: [{target: 1, published: 1, name: x}]}}", r"services.a.ports\[0\].name"),
        ("services: {a: {image: b}}\nnetworks: {c: {ipam: {}}}", r"networks\.c\.ipam"),
    ],
)
def test_a_key_that_nothing_here_knows_is_refused_with_its_path(tmp_path: Path, text: str, path: str) -> None:
    with pytest.raises(ComposeFileError, match=f"{path}.*: not supported here"):
        load_compose(write(tmp_path, text), {})


def test_keys_that_the_format_leaves_to_its_users_may_be_anywhere(tmp_path: Path) -> None:
    text = "services: {a: {image: b, x-a: 1, deploy: {x-b: {c: 1}}, ports: [{target: 1, published: 2, x-c: 1}]}}"
    compose = load_compose(write(tmp_path, f"{text}\nx-d: [1]\nnetworks: {{c: {{x-e: 1}}}}"), {})
    assert compose.services["a"].ports == (Port(1, 2),)


def test_a_variable_without_a_value_is_the_callers(tmp_path: Path) -> None:
    text = "services: {a: {image: b, environment: {K: , EMPTY: '', NONE: }}, c: {image: b, environment: [K, NONE]}}"
    services = load_compose(write(tmp_path, text), {"K": "mine"}).services
    assert services["a"].environment == {"K": "mine", "EMPTY": ""}
    assert services["c"].environment == {"K": "mine"}
    assert services["a"].unset_environment == services["c"].unset_environment == ("NONE",)


def test_files_of_variables_are_read_in_order_and_the_section_wins(tmp_path: Path) -> None:
    (tmp_path / "one.env").write_text('A=1\nB="q r"\n# no\n  C= x # y\nD=$A\nK\nNONE\n\n')
    (tmp_path / "two.env").write_text("\ufeffA=2\n")
    text = "services: {a: {image: b, env_file: [one.env, two.env], environment: {C: mine}}}"
    service = load_compose(write(tmp_path, text), {"K": "here"}).services["a"]
    assert service.environment == {"A": "2", "B": '"q r"', "C": "mine", "D": "$A", "K": "here"}
    assert service.unset_environment == ()


def test_words_such_as_off_stay_texts(tmp_path: Path) -> None:
    text = "services: {a: {image: b, environment: {guard: off, y: no, ratio: 1.50}}}"
    assert load_compose(write(tmp_path, text), {}).services["a"].environment == {
        "guard": "off",
        "y": "no",
        "ratio": "1.5",
    }


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ComposeFileError, match=r"compose\.yml: line 4: the key 'image' was already given in line 3"):
        load_compose(write(tmp_path, "services:\n  a:\n    image: b\n    image: c\n"), {})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ComposeFileError, match=r"compose\.yml"):
        load_compose(tmp_path / "compose.yml", {})


def test_the_stack_has_its_three_services() -> None:
    assert set(load_compose(COMPOSE, {}).services) == {"gateway", "worker", "redis"}


def test_settings_come_from_the_environment() -> None:
    services = load_compose(COMPOSE, {"upstream_timeout": "2m", "worker_replicas": "3"}).services
    assert services["gateway"].environment["upstream_timeout"] == "2m"
    assert services["worker"].replicas == 3


def test_calls_in_flight_may_finish_before_a_service_is_killed() -> None:
    gateway = load_compose(COMPOSE, {}).services["gateway"]
    write_timeout = Settings.from_environment({**gateway.environment, "basic_auth": "false"}).write_timeout
    assert gateway.stop_grace_period > write_timeout


def test_the_stack_suits_every_swarm() -> None:
    services = load_compose(COMPOSE, {}).services
    # Neither virtual IPs nor the routing mesh are needed: both need IPVS in the kernel.
    assert {service.deploy.endpoint_mode for service in services.values()} == {"dnsrr"}
    assert services["gateway"].ports == (Port(8080, 8080, "tcp", "host"),)
    # Two gateways cannot hold one port of a node.
    assert services["gateway"].deploy.update.order == "stop-first"
    assert services["redis"].networks == ("data",)
    assert services["redis"].ports == ()
