"""What stacks ordinarily say of their services, in the specification that Swarm gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stack.compose.loading import load_compose
from stack.swarm.spec import Reference, SpecContext, service_spec
from swarmfn.provider.swarm.documents import ServiceSpec

REST = """
networks: {inner: {}, outer: {external: true, name: shared}}
volumes:
  plain: {labels: {use: test}}
  share: {driver_opts: {type: nfs, o: "addr=10.0.0.1,rw", device: ":/srv"}}
  there: {external: true, name: kept}
secrets: {key: {external: true}}
"""


def spec_of(tmp_path: Path, keys: str) -> ServiceSpec:
    file = tmp_path / "compose.yml"
    file.write_text(f"services: {{a: {{image: b, {keys}}}}}\n{REST}")
    compose = load_compose(file, {})
    context = SpecContext(
        stack="mine",
        images={},
        networks={name: f"id-{name}" for name in compose.networks},
        secrets={"key": Reference("id-key", "key")},
        volumes=compose.volumes,
        data_node="node-1",
    )
    return service_spec(compose.services["a"], context)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("entrypoint: [e, f], command: g h", {"Command": ["e", "f"], "Args": ["g", "h"]}),
        ("working_dir: /w, hostname: h, stop_signal: SIGINT", {"Dir": "/w", "Hostname": "h", "StopSignal": "SIGINT"}),
        ("labels: [c=1]", {"Labels": {"c": "1", "com.docker.stack.namespace": "mine"}}),
        ("dns: 1.1.1.1, dns_search: [d]", {"DNSConfig": {"Nameservers": ["1.1.1.1"], "Search": ["d"]}}),
        ("sysctls: {net.core.somaxconn: 1024}", {"Sysctls": {"net.core.somaxconn": "1024"}}),
        (
            "ulimits: {nproc: 5, nofile: {soft: 1, hard: -1}}",
            {"Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": -1}, {"Name": "nproc", "Soft": 5, "Hard": 5}]},
        ),
        ("extra_hosts: ['h:10.0.0.1', 'six:::1', e=10.0.0.2]", {"Hosts": ["10.0.0.1 h", "::1 six", "10.0.0.2 e"]}),
        ("cap_add: [net_admin, CAP_CHOWN], cap_drop: [all]", {"CapabilityAdd": ["CAP_NET_ADMIN", "CAP_CHOWN"]}),
        ("init: false", {"Init": False}),
        ("environment: {ONE: 1, GONE: }", {"Env": ["ONE=1", "GONE"]}),
        ("healthcheck: {disable: true}", {"Healthcheck": {"Test": ["NONE"]}}),
        ("healthcheck: {interval: 2s}", {"Healthcheck": {"Test": [], "Interval": 2 * 10**9}}),
        (
            "secrets: [{source: key, target: k, uid: '5', gid: '6', mode: 0440}]",
            {"Secrets": [{"File": {"Name": "/run/secrets/k", "UID": "5", "GID": "6", "Mode": 0o440}}]},
        ),
        (
            "volumes: ['plain:/p:nocopy']",
            {"Mounts": [{"Source": "mine_plain", "VolumeOptions": {"NoCopy": True, "Labels": {"use": "test"}}}]},
        ),
        (
            "volumes: [{type: volume, source: share, target: /s, read_only: true}]",
            {
                "Mounts": [
                    {
                        "Source": "mine_share",
                        "ReadOnly": True,
                        "VolumeOptions": {
                            "DriverConfig": {
                                "Name": "local",
                                "Options": {"type": "nfs", "o": "addr=10.0.0.1,rw", "device": ":/srv"},
                            }
                        },
                    }
                ]
            },
        ),
        ("volumes: ['there:/t']", {"Mounts": [{"Source": "kept", "VolumeOptions": {}}]}),
        ("volumes: [/own]", {"Mounts": [{"Type": "volume", "Source": "", "Target": "/own", "VolumeOptions": {}}]}),
        (
            "volumes: [{type: bind, source: /x, target: /y, bind: {propagation: rslave}}]",
            {"Mounts": [{"Type": "bind", "Source": "/x", "BindOptions": {"Propagation": "rslave"}}]},
        ),
        (
            "volumes: [{type: tmpfs, target: /z, tmpfs: {size: 1000}}]",
            {"Mounts": [{"Type": "tmpfs", "Target": "/z", "TmpfsOptions": {"SizeBytes": 1000}}]},
        ),
    ],
)
def test_a_container_gets_it(tmp_path: Path, keys: str, expected: dict[str, Any]) -> None:
    assert_within(expected, spec_of(tmp_path, keys)["TaskTemplate"]["ContainerSpec"])


def test_a_tmpfs_has_its_size_and_mode(tmp_path: Path) -> None:
    mounts = spec_of(tmp_path, "tmpfs: ['/t:size=64m,mode=1777', /u]")["TaskTemplate"]["ContainerSpec"]["Mounts"]
    assert mounts == [
        {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 64 * 2**20, "Mode": 0o1777}},
        {"Type": "tmpfs", "Target": "/u"},
    ]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("deploy: {labels: {c: 1}}", {"Labels": {"c": "1", "com.docker.stack.namespace": "mine"}}),
        ("deploy: {mode: global}", {"Mode": {"Global": {}}}),
        ("deploy: {mode: replicated, replicas: 0}", {"Mode": {"Replicated": {"Replicas": 0}}}),
        ("deploy: {update_config: {max_failure_ratio: 0.25}}", {"UpdateConfig": {"MaxFailureRatio": 0.25}}),
        (
            "deploy: {placement: {max_replicas_per_node: 2, preferences: [{spread: node.labels.z}]}}",
            {
                "TaskTemplate": {
                    "Placement": {
                        "MaxReplicas": 2,
                        "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.z"}}],
                    }
                }
            },
        ),
        (
            "networks: {inner: {aliases: [x], driver_opts: {o: 1}}, outer: }",
            {
                "TaskTemplate": {
                    "Networks": [
                        {"Target": "id-inner", "Aliases": ["x", "a"], "DriverOpts": {"o": "1"}},
                        {"Target": "id-outer", "Aliases": ["a"]},
                    ]
                }
            },
        ),
        ("user: u", {"TaskTemplate": {"Networks": [{"Target": "id-default", "Aliases": ["a"]}]}}),
        (
            "ports: ['90-91:80-81/udp']",
            {
                "EndpointSpec": {
                    "Ports": [
                        {"TargetPort": 80, "PublishedPort": 90, "Protocol": "udp"},
                        {"TargetPort": 81, "PublishedPort": 91, "Protocol": "udp"},
                    ]
                }
            },
        ),
    ],
)
def test_a_service_gets_it(tmp_path: Path, keys: str, expected: dict[str, Any]) -> None:
    assert_within(expected, spec_of(tmp_path, keys))


@pytest.mark.parametrize(("volume", "is_pinned"), [("plain", True), ("there", True), ("share", False)])
def test_only_what_lies_on_one_node_holds_a_service_there(tmp_path: Path, volume: str, is_pinned: bool) -> None:
    constraints = spec_of(tmp_path, f"volumes: ['{volume}:/v']")["TaskTemplate"]["Placement"]["Constraints"]
    assert constraints == (["node.id == node-1"] if is_pinned else [])


def assert_within(expected: Any, found: Any) -> None:
    """Everything in `expected` is in `found`; mappings there may have more keys."""
    if isinstance(expected, dict) and expected:
        for key, value in expected.items():
            assert_within(value, found[key])
    elif isinstance(expected, list):
        assert len(expected) == len(found)
        for one, other in zip(expected, found, strict=True):
            assert_within(one, other)
    else:
        assert found == expected
