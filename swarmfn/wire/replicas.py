"""The replica table: where each function can be reached, as providers make it and the gateway publishes it.

The gateway stores it in Redis as one JSON document (`REPLICAS_KEY`) and announces each change on the channel of the
same name; workers read both, so that a run does not depend on the gateway.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

REPLICAS_KEY = "swarmfn:replicas"


@dataclass(frozen=True)
class Route:
    """One function's row.

    addresses: `host:port` of each healthy replica; replicas: how many are wanted; exec_timeout: seconds one attempt
    may run; queue: where its asynchronous calls wait; problem: why no replica is healthy, in a sentence ("" if known
    of none); lost: addresses that were there until their node went down. What runs on them will never answer.
    """

    name: str
    addresses: tuple[str, ...]
    replicas: int
    exec_timeout: float
    queue: str
    problem: str = ""
    lost: tuple[str, ...] = ()


ReplicaTable = Mapping[str, Route]
"""Rows by plain function name. A function that is deployed has a row, whether or not it has a healthy replica."""


def encode_table(table: ReplicaTable) -> bytes:
    """The JSON document stored in Redis: `{"echo": {"addresses": [...], ...}, ...}`."""
    rows = {name: asdict(route) for name, route in table.items()}
    return json.dumps(rows, separators=(",", ":"), sort_keys=True).encode()


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
            lost=tuple(row.get("lost", ())),
        )
    return table


def lost_addresses(table: ReplicaTable) -> frozenset[str]:
    """Every address that nobody needs to wait for any more; not one that another replica has got since."""
    lost = frozenset(address for route in table.values() for address in route.lost)
    return lost.difference(*(route.addresses for route in table.values())) if lost else lost
