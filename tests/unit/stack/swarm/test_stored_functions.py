"""Functions as values: which are the stack's, and how their specs survive."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from stack.errors import StackError
from stack.swarm.function_services import belongs, function_name
from stack.swarm.portable_specs import portable, resolved
from stack.swarm.restoring import is_in_registry
from stack.swarm.stored_functions import config_name, stored_spec
from swarmfn.provider.swarm.documents import ServiceDocument, ServiceSpec


def spec(networks: list[str], labels: dict[str, str] | None = None, **container: Any) -> Any:
    return {
        "Name": "echo",
        "Labels": {"com.openfaas.function": "echo", **(labels or {})},
        "TaskTemplate": {
            "ContainerSpec": {"Image": "echo:1", **container},
            "Networks": [{"Target": network, "Aliases": ["echo"]} for network in networks],
        },
        "Mode": {"Replicated": {"Replicas": 3}},
    }


def service(spec: ServiceSpec) -> ServiceDocument:
    return {"ID": "s", "Version": {"Index": 1}, "Spec": spec}


DEPLOYED = {"com.swarmfn.function": "{}"}


@pytest.mark.parametrize(
    ("networks", "labels", "expected"),
    [
        (["ours"], {}, True),
        (["ours", "theirs"], {}, True),
        (["theirs"], {}, False),
        (["theirs"], DEPLOYED, False),
        (["another"], DEPLOYED, True),
        (["another"], {}, False),
        ([], DEPLOYED, True),
        ([], {}, False),
    ],
)
def test_a_function_is_ours_by_its_network_or_by_who_deployed_it(
    networks: list[str], labels: dict[str, str], expected: bool
) -> None:
    assert belongs(service(spec(networks, labels)), own={"ours"}, foreign={"theirs"}) is expected


def test_a_network_beside_the_task_template_counts_too() -> None:
    old_style = spec([])
    old_style["Networks"] = [{"Target": "ours"}]
    assert belongs(service(old_style), own={"ours"}, foreign=set())
    moved = portable(old_style, {"ours": "x_functions"})
    assert moved["TaskTemplate"]["Networks"] == [{"Target": "x_functions"}]
    assert "Networks" not in moved


def test_a_function_is_called_by_its_label() -> None:
    assert function_name(service(spec([]) | {"Name": "other"})) == "echo"
    assert function_name(service(spec([], {"com.openfaas.function": ""}) | {"Name": "other"})) == "other"


def test_names_survive_and_ids_are_looked_up_anew() -> None:
    before = spec(
        ["n1"],
        Secrets=[{"SecretID": "s1", "SecretName": "key", "File": {"Name": "/x"}}],
        Configs=[{"ConfigID": "c1", "ConfigName": "conf", "File": {"Name": "/y"}}],
    )
    kept = portable(before, {"n1": "stack_functions"})
    assert before["TaskTemplate"]["Networks"][0]["Target"] == "n1", "what was given is not changed"
    after = resolved(kept, {"stack_functions": "n2"}, {"key": "s2"}, {"conf": "c2"})
    assert after == spec(
        ["n2"],
        Secrets=[{"SecretID": "s2", "SecretName": "key", "File": {"Name": "/x"}}],
        Configs=[{"ConfigID": "c2", "ConfigName": "conf", "File": {"Name": "/y"}}],
    )


def test_everything_that_is_gone_is_named() -> None:
    kept = spec(["stack_functions"], Secrets=[{"SecretID": "s1", "SecretName": "key"}])
    with pytest.raises(StackError, match='network "stack_functions", secret "key"'):
        resolved(kept, {}, {}, {})


def test_a_long_name_gives_a_config_name_that_docker_takes() -> None:
    assert config_name("swarmfn", "echo") == "swarmfn_function_echo"
    one, other = config_name("swarmfn", "x" * 63), config_name("swarmfn", "x" * 62 + "y")
    assert len(one) == len(other) == 64
    assert one != other


@pytest.mark.parametrize("data", [b"", b"no json", b"[]", b'{"format": 2, "service": {}}', b'{"format": 1}'])
def test_a_definition_that_cannot_be_read_is_an_error_that_names_it(data: bytes) -> None:
    with pytest.raises(StackError, match="the config swarmfn_function_echo cannot be read"):
        stored_spec({"ID": "c", "Spec": {"Name": "swarmfn_function_echo", "Data": base64.b64encode(data).decode()}})


def test_a_definition_is_read_as_it_was_written() -> None:
    data = base64.b64encode(json.dumps({"format": 1, "service": spec([])}).encode()).decode()
    assert stored_spec({"ID": "c", "Spec": {"Name": "x", "Data": data}}) == spec([])


def test_a_login_is_likely_where_a_registry_is_named() -> None:
    assert is_in_registry("example.org:5000/team/function:1")
    assert is_in_registry("example.org/function@sha256:" + "0" * 64)
    assert not is_in_registry("swarmfn/echo:0123456789ab")
    assert not is_in_registry("sha256:" + "0" * 64)
