"""Listings of the calls of a state: from the index of dead letters, RQ's registries, or the queues themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import redis

from swarmfn.jobs import keys, layout
from swarmfn.jobs.sorted_sets import ScoredMember, ScoreRange, each_batch, merged_page

_REGISTRIES = {
    "succeeded": keys.FINISHED,
    "scheduled": keys.SCHEDULED,
    "retrying": keys.SCHEDULED,
    "running": keys.WIP,
}


@dataclass(frozen=True)
class Cursor:
    """Where a page ended: the last id's key, where it is one list after the other, score or index, and member."""

    key: str
    number: float
    member: str


@dataclass(frozen=True)
class ListedJob:
    """One job and where it was found."""

    job_id: str
    cursor: Cursor


class Listing(Protocol):
    """The calls of a state, wherever they are."""

    def page(self, cursor: Cursor | None, count: int) -> list[ListedJob]:
        """Up to `count` jobs beyond `cursor`; none at the end."""

    def batches(self, size: int) -> Iterator[list[str]]:
        """The ids of all that is there now, the oldest first. What has been seen may be taken out meanwhile."""


class SortedSets:
    """Several sorted sets as one, the highest scores first. Members begin with the job's id."""

    def __init__(self, client: redis.Redis, names: Sequence[str], low: float, high: float) -> None:
        self._client = client
        self._names = names
        self._low, self._high = low, high

    def page(self, cursor: Cursor | None, count: int) -> list[ListedJob]:
        after = None if cursor is None else ScoredMember(cursor.number, cursor.member)
        found = merged_page(self._client, self._names, ScoreRange(self._low, self._high), after, count)
        return [ListedJob(_id_of(member.name), Cursor("", member.score, member.name)) for member, _ in found]

    def batches(self, size: int) -> Iterator[list[str]]:
        for name in self._names:
            for members in each_batch(self._client, name, ScoreRange(self._low, self._high, newest_first=False), size):
                yield [_id_of(member.name) for member in members]


class Lists:
    """Lists one after the other, each in its order. Members begin with the job's id."""

    def __init__(self, client: redis.Redis, names: Sequence[str]) -> None:
        self._client: Any = client
        self._names = names

    def page(self, cursor: Cursor | None, count: int) -> list[ListedJob]:
        first = int(cursor.number) + 1 if cursor else 0
        for name in self._names:
            if cursor and name < cursor.key:
                continue
            start = first if cursor and name == cursor.key else 0
            members = self._client.lrange(name, start, start + count - 1)
            if members:
                return [
                    ListedJob(_id_of(_text(member)), Cursor(name, start + n, "")) for n, member in enumerate(members)
                ]
        return []

    def batches(self, size: int) -> Iterator[list[str]]:
        for name in self._names:
            left, start = int(self._client.llen(name)), 0
            while left > 0 and (members := self._client.lrange(name, start, start + min(size, left) - 1)):
                left -= len(members)
                ids = [_id_of(_text(member)) for member in members]
                yield ids
                # What was not taken away is skipped. Workers take from the same end, so some may be missed.
                start += self._client.exists(*map(keys.job, ids))


def list_dead_letters(
    client: redis.Redis, state: str, function: str, since: float | None, until: float | None
) -> SortedSets:
    """What did not succeed, of one state, of one function or all ("")."""
    untyped: Any = client
    kinds = sorted(_text(kind) for kind in untyped.smembers(keys.DEAD_LETTERS))
    indexes = [keys.dead_letters(kind) for kind in kinds if _is_of(kind, state, function)]
    return SortedSets(client, indexes, -math.inf if since is None else since, math.inf if until is None else until)


def list_queues(client: redis.Redis, state: str) -> Listing:
    """Calls of all queues that wait, are put off, run or have succeeded."""
    untyped: Any = client
    queues = sorted(_text(queue) for queue in untyped.smembers(keys.QUEUES))
    queues = [queue for queue in queues if not layout.is_callback_queue(queue)]
    if state == "queued":
        held = (keys.HELD_CALLS + _text(name) for name in untyped.smembers(keys.HELD))
        return Lists(client, sorted([*map(keys.queue, queues), *held, keys.ALONE]))
    return SortedSets(client, [_REGISTRIES[state] + queue for queue in queues], -math.inf, math.inf)


def _is_of(kind: str, state: str, function: str) -> bool:
    event, _, rest = kind.partition(":")
    return event == state and (not function or rest.partition(":")[0] == function)


def _id_of(member: str) -> str:
    """RQ's registry of what runs holds ID:EXECUTION, the list of what is to be run alone ID:QUEUE."""
    return member.partition(":")[0]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
