"""Why functions have no healthy replica, read from the table that the gateway publishes in Redis."""

from __future__ import annotations

import redis

from swarmfn.wire.replicas import REPLICAS_KEY, Route, decode_table


def read_routes(client: redis.Redis) -> dict[str, Route]:
    """The published replica table; empty when there is none or Redis does not answer."""
    try:
        document = client.get(REPLICAS_KEY)
    except redis.RedisError:
        return {}
    return decode_table(document) if isinstance(document, bytes) else {}


def problem_of(client: redis.Redis, name: str) -> str:
    """The function's problem in a sentence; "" when none is known."""
    route = read_routes(client).get(name)
    return route.problem if route else ""
