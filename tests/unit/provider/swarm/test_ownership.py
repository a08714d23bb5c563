"""Whose a function's service is."""

from __future__ import annotations

import pytest

from swarmfn.provider.swarm.documents import NetworkAttachment, NetworkDocument, ServiceDocument, TaskTemplate
from swarmfn.provider.swarm.ownership import own_services

NETWORKS: list[NetworkDocument] = [{"Id": "n1", "Name": "ours_functions"}, {"Id": "n2", "Name": "theirs_functions"}]


def service(*networks: str) -> ServiceDocument:
    attached: list[NetworkAttachment] = [{"Target": network} for network in networks]
    template: TaskTemplate = {"ContainerSpec": {"Image": "i"}, "Networks": attached}
    return {"ID": "s", "Version": {"Index": 1}, "Spec": {"Name": "echo", "TaskTemplate": template}}


@pytest.mark.parametrize(
    ("attached", "is_ours"),
    [(("n1",), True), (("n2",), False), (("n1", "n2"), True), (("else",), True), (("else", "n2"), False), ((), True)],
)
def test_the_networks_tell(attached: tuple[str, ...], is_ours: bool) -> None:
    found = [service(*attached)]
    assert own_services(found, NETWORKS, "ours_functions") == (found if is_ours else [])


def test_networks_in_the_older_place_count_too() -> None:
    older = service()
    del older["Spec"]["TaskTemplate"]["Networks"]
    older["Spec"]["Networks"] = [{"Target": "n2"}]
    assert own_services([older], NETWORKS, "ours_functions") == []
