"""A swarm's nodes, and images that only one of them has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import docker

from stack.errors import StackError
from stack.swarm.engine_api import api_of
from stack.swarm.engine_client import engine_errors
from swarmfn.provider.swarm.documents import NodeDocument


@dataclass(frozen=True)
class Node:
    """One machine. `takes_tasks`: nobody has drained or paused it; one that is down now takes tasks when it is back."""

    id: str
    name: str
    is_up: bool
    takes_tasks: bool


def list_nodes(client: docker.DockerClient) -> list[Node]:
    """The swarm's nodes by name."""
    with engine_errors("list the nodes"):
        return read_nodes(api_of(client).nodes())


def read_nodes(entries: Iterable[NodeDocument]) -> list[Node]:
    """The nodes in what the engine answers to GET /nodes, by name."""
    nodes = [
        Node(
            id=entry["ID"],
            name=(entry.get("Description") or {}).get("Hostname") or entry["ID"],
            is_up=(entry.get("Status") or {}).get("State") == "ready",
            takes_tasks=(entry.get("Spec") or {}).get("Availability", "active") == "active",
        )
        for entry in entries
    ]
    return sorted(nodes, key=lambda node: (node.name, node.id))


def refuse_local_only(nodes: Sequence[Node], image: str, own_node: str) -> None:
    """Raises StackError, which says what helps, where tasks of `image` might start on a node that does not have it.

    The image is on `own_node` (an id) alone. Where no other node takes tasks, that is fine.
    """
    others = [node.name for node in nodes if node.takes_tasks and node.id != own_node]
    if not others:
        return
    names = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    raise StackError(
        f"the image {image} is on this node only, and the swarm has others that would run it too: {names}. "
        "`--registry HOST:PORT` copies the images to a registry that every node can pull from; "
        "`--pin` keeps everything on this node."
    )


def refuse_pin_away_from_data(nodes: Sequence[Node], data_node: str, own_node: str) -> None:
    """Raises StackError where everything is to run on `own_node` while Redis's data lies on `data_node` (ids)."""
    if data_node in ("", own_node):
        return
    where = next((node.name for node in nodes if node.id == data_node), data_node)
    raise StackError(
        f"Redis's data lies on the node {where}, and --pin would keep everything on this one. "
        f"Run the command on {where}, or leave the pin off with --no-pin."
    )


def pin_constraint(node: str) -> str:
    """The placement constraint that keeps a service on the node with this id."""
    return f"node.id == {node}"
