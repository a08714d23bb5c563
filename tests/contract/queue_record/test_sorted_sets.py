"""Sorted sets a page at a time, above all where many members have the same score: all that end in one step have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from swarmfn.jobs.sorted_sets import ScoredMember, ScoreRange, each_batch, merged_page
from tests.support.queue_stage import QueueStage

OF_ONE_MOMENT = {f"m{number:04}": 5.0 for number in range(700)}
SETS: dict[str, Mapping[str, float]] = {
    "first": {**OF_ONE_MOMENT, "before": 4.0, "after": 6.0},
    "second": {f"n{number:04}": 5.0 for number in range(300)},
}
NEWEST_FIRST = sorted((ScoredMember(score, name) for of in SETS.values() for name, score in of.items()), reverse=True)


@pytest.fixture(autouse=True)
def _filled(stage: QueueStage) -> None:
    for key, members in SETS.items():
        stage.redis.zadd(key, dict(members))


def pages(
    stage: QueueStage, within: ScoreRange, count: int, after: ScoredMember | None = None
) -> Iterator[list[ScoredMember]]:
    while found := [member for member, _ in merged_page(stage.redis, list(SETS), within, after, count)]:
        yield found
        after = found[-1]


@pytest.mark.parametrize("count", [100, 161, 1000])
def test_pages_over_many_members_of_one_moment_have_each_once_in_order(stage: QueueStage, count: int) -> None:
    found: list[ScoredMember] = []
    for page in pages(stage, ScoreRange(), count):
        assert len(page) == min(count, len(NEWEST_FIRST) - len(found))
        found += page
    assert found == NEWEST_FIRST


def test_pages_of_one_go_on_where_the_last_one_ended(stage: QueueStage) -> None:
    end = len(NEWEST_FIRST) - 4
    assert list(pages(stage, ScoreRange(), 1, NEWEST_FIRST[end - 1])) == [[member] for member in NEWEST_FIRST[end:]]


def test_the_oldest_first_and_within_bounds(stage: QueueStage) -> None:
    found = [member for page in pages(stage, ScoreRange(4.5, 5.5, newest_first=False), 150) for member in page]
    assert found == [member for member in reversed(NEWEST_FIRST) if member.score == 5.0]


@pytest.mark.parametrize("takes_away", [False, True])
@pytest.mark.parametrize("size", [50, 200])
def test_batches_over_many_members_of_one_moment_have_each_once(stage: QueueStage, size: int, takes_away: bool) -> None:
    seen: list[str] = []
    for batch in each_batch(stage.redis, "first", ScoreRange(newest_first=False), size):
        assert len(batch) <= size
        seen += [member.name for member in batch]
        if takes_away:
            stage.redis.zrem("first", *(member.name for member in batch))
    assert seen == ["before", *sorted(OF_ONE_MOMENT), "after"]


def test_a_key_of_another_type_is_passed_over(stage: QueueStage) -> None:
    stage.redis.set("third", "no set")
    found = merged_page(stage.redis, ["third", "second"], ScoreRange(), None, 2)
    assert [(member.name, key) for member, key in found] == [("n0299", "second"), ("n0298", "second")]
