"""Images that one node has, in swarms of several."""

from __future__ import annotations

import pytest

from stack.errors import StackError
from stack.swarm.nodes import Node, pin_constraint, read_nodes, refuse_local_only, refuse_pin_away_from_data
from swarmfn.provider.swarm.documents import NodeDocument


def node(number: int, state: str = "ready", availability: str = "active") -> NodeDocument:
    return {
        "ID": f"id{number}",
        "Description": {"Hostname": f"node{number}"},
        "Status": {"State": state},
        "Spec": {"Availability": availability},
    }


def test_nodes_are_read_by_name() -> None:
    assert read_nodes([node(2, "down"), node(1, availability="drain")]) == [
        Node("id1", "node1", is_up=True, takes_tasks=False),
        Node("id2", "node2", is_up=False, takes_tasks=True),
    ]


def test_a_swarm_of_one_node_needs_no_registry() -> None:
    refuse_local_only(read_nodes([node(1)]), "swarmfn:1", "id1")


@pytest.mark.parametrize("state", ["ready", "down"])
def test_another_node_that_may_run_the_image_is_named_with_what_helps(state: str) -> None:
    with pytest.raises(StackError) as caught:
        refuse_local_only(read_nodes([node(1), node(2, state)]), "swarmfn:1", "id1")
    assert "swarmfn:1 is on this node only" in str(caught.value)
    assert "run it too: node2. `--registry" in str(caught.value)
    assert "`--pin`" in str(caught.value)


@pytest.mark.parametrize("availability", ["drain", "pause"])
def test_a_node_that_takes_no_tasks_does_not_matter(availability: str) -> None:
    refuse_local_only(read_nodes([node(1), node(2, availability=availability)]), "swarmfn:1", "id1")


def test_a_drained_manager_has_the_image_and_the_others_run_it() -> None:
    with pytest.raises(StackError, match=r"node2\."):
        refuse_local_only(read_nodes([node(1, availability="drain"), node(2)]), "swarmfn:1", "id1")


def test_many_nodes_are_counted() -> None:
    with pytest.raises(StackError, match="node2, node3, node4 and 2 more"):
        refuse_local_only(read_nodes([node(number) for number in range(1, 7)]), "swarmfn:1", "id1")


def test_pinned_is_by_id_as_names_need_not_be_unique() -> None:
    assert pin_constraint("id1") == "node.id == id1"


@pytest.mark.parametrize("data_node", ["", "id1"])
def test_a_pin_to_the_node_with_the_data_is_fine(data_node: str) -> None:
    refuse_pin_away_from_data(read_nodes([node(1), node(2)]), data_node, "id1")


def test_a_pin_away_from_the_data_is_refused_with_the_nodes_name() -> None:
    with pytest.raises(StackError, match=r"data lies on the node node2, .* Run the command on node2, or .* --no-pin\."):
        refuse_pin_away_from_data(read_nodes([node(1), node(2)]), "id2", "id1")
