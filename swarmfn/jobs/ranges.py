"""Walking through sorted sets in Redis a page at a time, at a cost that does not depend on their length."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import redis

_SLACK = 160
"""Members read beyond what is wanted: those of one batch have the same score as the one where the last page ended."""


@dataclass(frozen=True, order=True)
class Place:
    """Where a member is in a sorted set."""

    score: float
    member: str


@dataclass(frozen=True)
class Range:
    """Members with scores from `low` to `high`, in one direction."""

    low: float = -math.inf
    high: float = math.inf
    newest_first: bool = True

    def is_beyond(self, place: Place, last: Place) -> bool:
        """Whether `place` comes after `last`."""
        return place < last if self.newest_first else place > last


def merged_page(
    client: redis.Redis, keys: Sequence[str], within: Range, after: Place | None, count: int
) -> list[tuple[Place, str]]:
    """The next `count` members of several sets, in one order, with the key that each is in."""
    replies = _ask(client, keys, within, after, count + (_SLACK if after else 0))
    found: list[tuple[Place, str]] = []
    for key, reply in zip(keys, replies, strict=True):
        places = _beyond(reply, within, after)
        if len(places) < count <= len(reply):
            places = _page(client, key, within, after, count)
        found += [(place, key) for place in places[:count]]
    found.sort(key=lambda pair: pair[0], reverse=within.newest_first)
    return found[:count]


def each_batch(client: redis.Redis, key: str, within: Range, size: int) -> Iterator[list[Place]]:
    """All members, `size` at a time. Those already seen may be removed meanwhile."""
    after: Place | None = None
    while batch := _page(client, key, within, after, size):
        yield batch
        after = batch[-1]


def _page(client: redis.Redis, key: str, within: Range, after: Place | None, count: int) -> list[Place]:
    """Up to `count` members beyond `after`, however many have the same score as it."""
    asked = count + (_SLACK if after else 0)
    while True:
        (reply,) = _ask(client, [key], within, after, asked)
        places = _beyond(reply, within, after)
        if len(places) >= count or len(reply) < asked:
            return places[:count]
        asked *= 2


def _beyond(reply: Sequence[tuple[bytes, float]], within: Range, after: Place | None) -> list[Place]:
    places = [Place(score, member.decode("utf-8", "replace")) for member, score in reply]
    return places if after is None else [place for place in places if within.is_beyond(place, after)]


def _ask(
    client: redis.Redis, keys: Sequence[str], within: Range, after: Place | None, count: int
) -> list[list[tuple[bytes, float]]]:
    low, high = within.low, within.high
    if after is not None:
        low, high = (low, min(high, after.score)) if within.newest_first else (max(low, after.score), high)
    pipeline: Any = client.pipeline(transaction=False)
    for key in keys:
        options = {"start": 0, "num": count, "withscores": True}
        if within.newest_first:
            pipeline.zrevrangebyscore(key, high, low, **options)
        else:
            pipeline.zrangebyscore(key, low, high, **options)
    # A key of another type is ignored.
    return [reply if isinstance(reply, list) else [] for reply in pipeline.execute(raise_on_error=False)]
