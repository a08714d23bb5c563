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
class ScoredMember:
    """A member of a sorted set, in the order that Redis has them in."""

    score: float
    name: str


@dataclass(frozen=True)
class ScoreRange:
    """Members with scores from `low` to `high`, in one direction."""

    low: float = -math.inf
    high: float = math.inf
    newest_first: bool = True

    def is_beyond(self, member: ScoredMember, last: ScoredMember) -> bool:
        """Whether `member` comes after `last`."""
        return member < last if self.newest_first else member > last


def merged_page(
    client: redis.Redis, keys: Sequence[str], within: ScoreRange, after: ScoredMember | None, count: int
) -> list[tuple[ScoredMember, str]]:
    """The next `count` members of several sets, in one order, with the key that each is in."""
    replies = _ask(client, keys, within, after, count + (_SLACK if after else 0))
    found: list[tuple[ScoredMember, str]] = []
    for key, reply in zip(keys, replies, strict=True):
        members = _beyond(reply, within, after)
        if len(members) < count <= len(reply):
            members = _page(client, key, within, after, count)
        found += [(member, key) for member in members[:count]]
    found.sort(key=lambda pair: pair[0], reverse=within.newest_first)
    return found[:count]


def each_batch(client: redis.Redis, key: str, within: ScoreRange, size: int) -> Iterator[list[ScoredMember]]:
    """All members, `size` at a time. Those already seen may be removed meanwhile."""
    after: ScoredMember | None = None
    while batch := _page(client, key, within, after, size):
        yield batch
        after = batch[-1]


def _page(
    client: redis.Redis, key: str, within: ScoreRange, after: ScoredMember | None, count: int
) -> list[ScoredMember]:
    """Up to `count` members beyond `after`, however many have the same score as it."""
    asked = count + (_SLACK if after else 0)
    while True:
        (reply,) = _ask(client, [key], within, after, asked)
        members = _beyond(reply, within, after)
        if len(members) >= count or len(reply) < asked:
            return members[:count]
        asked *= 2


def _beyond(reply: Sequence[tuple[bytes, float]], within: ScoreRange, after: ScoredMember | None) -> list[ScoredMember]:
    members = [ScoredMember(score, name.decode("utf-8", "replace")) for name, score in reply]
    return members if after is None else [member for member in members if within.is_beyond(member, after)]


def _ask(
    client: redis.Redis, keys: Sequence[str], within: ScoreRange, after: ScoredMember | None, count: int
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
