"""The replica table: where each function can be reached, as providers make it and the gateway publishes it.

The gateway stores it in Redis as one JSON document (`REPLICAS_KEY`) and announces each change on the channel of the
same name; workers read both, so that a run does not depend on the gateway. What is stored ends soon after its gateway:
a Redis that comes back with everything else on the machine would name addresses that others have got since.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from swarmfn.wire.errors import FunctionNotFound
from swarmfn.wire.names import function_name
from swarmfn.wire.policies import NO_POLICY, Policy
from swarmfn.wire.rollouts import Rollout

REPLICAS_KEY = "swarmfn:replicas"
TABLE_TTL = 10
"""Seconds that a stored table holds. The gateway stores it again more often; workers keep the last one they saw."""


@dataclass(frozen=True)
class Route:
    """One function's row.

    addresses: `host:port` of each healthy replica; replicas: how many are wanted; exec_timeout: seconds one attempt
    may run; queue: where its asynchronous calls wait; problem: why no replica is healthy, in a sentence ("" if known
    of none); policy: what it asks of its asynchronous calls; lost: addresses that were there until their node went
    down, what runs on them will never answer; is_site: its pages are trusted with the whole origin of a port that
    serves no management; rollout: how far its present description has got.
    """

    name: str
    addresses: tuple[str, ...]
    replicas: int
    exec_timeout: float
    queue: str
    problem: str = ""
    policy: Policy = NO_POLICY
    lost: tuple[str, ...] = ()
    is_site: bool = False
    rollout: Rollout = Rollout.DONE


ReplicaTable = Mapping[str, Route]
"""Rows by plain function name. A function that is deployed has a row, whether or not it has a healthy replica."""


def find_route(table: ReplicaTable, called: str) -> Route:
    """The row of the function that a caller named so, with or without the namespace. Raises FunctionNotFound."""
    route = table.get(called)
    if route is not None:
        return route
    name = function_name(called)
    route = table.get(name)
    if route is None:
        raise FunctionNotFound(name)
    return route


def encode_table(table: ReplicaTable) -> bytes:
    """The JSON document stored in Redis: `{"echo": {"addresses": [...], ...}, ...}`."""
    return json.dumps(
        {name: _row(route) for name, route in table.items()}, separators=(",", ":"), sort_keys=True
    ).encode()


def _row(route: Route) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": route.name,
        "addresses": list(route.addresses),
        "replicas": route.replicas,
        "exec_timeout": route.exec_timeout,
        "queue": route.queue,
        "problem": route.problem,
    }
    if route.policy != NO_POLICY:
        row["policy"] = route.policy.to_json()
    if route.lost:
        row["lost"] = list(route.lost)
    if route.is_site:
        row["site"] = True
    if route.rollout is not Rollout.DONE:
        row["rollout"] = route.rollout
    return row


def decode_table(document: bytes) -> dict[str, Route]:
    """The table in `document`. Unknown fields are ignored, so that a newer gateway can add some."""
    table = {}
    for name, row in json.loads(document).items():
        table[name] = Route(
            name=name,
            addresses=tuple(row["addresses"]),
            replicas=row["replicas"],
            exec_timeout=row["exec_timeout"],
            queue=row["queue"],
            problem=row.get("problem", ""),
            policy=Policy.from_json(row["policy"]) if "policy" in row else NO_POLICY,
            lost=tuple(row.get("lost", ())),
            is_site=row.get("site") is True,
            rollout=_rollout(row.get("rollout")),
        )
    return table


def _rollout(word: object) -> Rollout:
    return next((rollout for rollout in Rollout if rollout == word), Rollout.DONE)


def lost_addresses(table: ReplicaTable) -> frozenset[str]:
    """Every address that nobody needs to wait for any more; not one that another replica has got since."""
    lost = frozenset(address for route in table.values() for address in route.lost)
    return lost.difference(*(route.addresses for route in table.values())) if lost else lost
