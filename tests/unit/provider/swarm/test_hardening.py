"""What is taken away from a function's container, and what is left to it."""

from __future__ import annotations

from typing import Any

import pytest

from swarmfn.provider.swarm.documents import Amounts, TaskTemplate
from swarmfn.provider.swarm.hardening import NEEDED, Hardening, check_drop, offers_no_new_privileges
from swarmfn.provider.swarm.service_spec import ServiceContext, service_spec
from swarmfn.wire.errors import InvalidFunction
from swarmfn.wire.functions import FunctionSpec, Resources

LEAST = {"com.swarmfn.drop_capabilities": "all"}


def task(function: FunctionSpec, **given: Any) -> TaskTemplate:
    context = ServiceContext("net-id", "http://gateway:8080", 60.0, 1.0, **given)
    return service_spec(function, context, 1, "")["TaskTemplate"]


def limits(function: FunctionSpec, **hardening: Any) -> Amounts:
    return task(function, hardening=Hardening(**hardening))["Resources"].get("Limits", {})


def test_only_what_ordinary_images_need_is_left() -> None:
    container = task(FunctionSpec("f", "i"))["ContainerSpec"]
    assert container["CapabilityDrop"] == ["ALL"]
    assert container["CapabilityAdd"] == [f"CAP_{name}" for name in NEEDED]
    assert container["Init"] is True


@pytest.mark.parametrize(
    ("setting", "annotations", "dropped", "left"),
    [("all", {}, True, False), ("most", LEAST, True, False), ("none", {}, False, False), ("none", LEAST, True, False)],
)
def test_the_operator_decides_and_a_function_can_give_up_more(
    setting: str, annotations: dict[str, str], dropped: bool, left: bool
) -> None:
    function = FunctionSpec("f", "i", annotations=annotations)
    container = task(function, hardening=Hardening(drop=setting))["ContainerSpec"]
    assert ("CapabilityDrop" in container, "CapabilityAdd" in container) == (dropped, left)


def test_a_function_cannot_keep_more_than_the_operator_leaves() -> None:
    check_drop(LEAST)
    with pytest.raises(InvalidFunction, match="annotations"):
        check_drop({"com.swarmfn.drop_capabilities": "none"})


@pytest.mark.parametrize(("version", "offers"), [("1.41", False), ("1.45", False), ("1.46", True), ("1.100", True)])
def test_the_engines_version_tells_whether_it_can(version: str, offers: bool) -> None:
    assert offers_no_new_privileges(version) == offers


def test_new_privileges_are_refused_where_the_engine_can() -> None:
    assert "Privileges" not in task(FunctionSpec("f", "i"))["ContainerSpec"]
    container = task(FunctionSpec("f", "i"), has_no_new_privileges=True)["ContainerSpec"]
    assert container["Privileges"] == {"NoNewPrivileges": True}


def test_own_limits_come_before_the_operators() -> None:
    assert limits(FunctionSpec("f", "i")) == {"MemoryBytes": 2**30, "Pids": 2048}
    own = FunctionSpec("f", "i", limits=Resources(memory="4Gi", cpu="2"))
    assert limits(own, cpus=1.0) == {"MemoryBytes": 4 * 2**30, "NanoCPUs": 2 * 10**9, "Pids": 2048}
    assert limits(FunctionSpec("f", "i"), memory=0, pids=0) == {}


def test_no_limit_is_below_what_is_reserved() -> None:
    function = FunctionSpec("f", "i", requests=Resources(memory="2Gi", cpu="1500m"))
    assert limits(function, cpus=1.0) == {"MemoryBytes": 2 * 2**30, "NanoCPUs": 1_500_000_000, "Pids": 2048}
