"""On a swarm of several nodes: how images that were built on one of them get to where they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import docker

from stack.swarm.nodes import list_nodes, pin_constraint, refuse_local_only, refuse_pin_away_from_data
from stack.swarm.references import is_local_only
from stack.swarm.registry import push


@dataclass(frozen=True)
class Placement:
    """The user's choice. `registry`: where images are pushed to, "" for nowhere; `is_pinned`: everything runs on
    `own_node`, the id of the node whose engine has the images."""

    own_node: str
    registry: str
    is_pinned: bool

    @property
    def constraints(self) -> tuple[str, ...]:
        """For every service."""
        return (pin_constraint(self.own_node),) if self.is_pinned else ()

    def publish(self, client: docker.DockerClient, name: str, local: str, say: Callable[[str], None]) -> str:
        """The reference to run for an image that was built here: `local`, unless there is a registry for it."""
        return push(client, name, self.registry, say) if self.registry else local

    def check(self, client: docker.DockerClient, name: str, reference: str) -> None:
        """Raises StackError where a replica might start on a node that does not have the image."""
        if is_local_only(reference) and not self.is_pinned:
            refuse_local_only(list_nodes(client), name, self.own_node)

    def check_data(self, client: docker.DockerClient, data_node: str) -> None:
        """Raises StackError where Redis could not start beside its data."""
        if self.is_pinned:
            refuse_pin_away_from_data(list_nodes(client), data_node, self.own_node)
