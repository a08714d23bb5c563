"""Which queues are claimed from next, and how many jobs of each."""

from __future__ import annotations

from worker.slots import CLAIM_AT_ONCE, CLAIM_IN_ALL, Slots


def take(slots: Slots, queue: str, count: int) -> None:
    for _ in range(count):
        slots.take(queue)


def test_a_queue_is_asked_for_its_free_slots_once_until_it_is_noted_again() -> None:
    slots = Slots(per_queue=5, total=100)
    slots.note_work("a")
    slots.note_work("a")
    assert slots.has_work
    assert slots.wants() == [("a", 5)]
    assert not slots.has_work
    assert slots.wants() == []


def test_a_full_queue_waits_and_the_others_go_on() -> None:
    slots = Slots(per_queue=2, total=100)
    take(slots, "slow", 2)
    slots.note_work("slow")
    slots.note_work("fast")
    assert slots.wants() == [("fast", 2)]
    slots.give_back("slow")
    assert slots.wants() == [("slow", 1)]


def test_one_claim_takes_no_more_than_a_few_dozen_of_a_queue() -> None:
    slots = Slots(per_queue=1000, total=10_000)
    slots.note_work("a")
    assert slots.wants() == [("a", CLAIM_AT_ONCE)]


def test_one_claim_is_bounded_over_all_queues_and_the_rest_comes_next() -> None:
    slots = Slots(per_queue=1000, total=10_000)
    queues = {f"q{number}" for number in range(10)}
    for queue in queues:
        slots.note_work(queue)
        take(slots, queue, 1)
    first, second, third = slots.wants(), slots.wants(), slots.wants()
    assert sum(count for _, count in first) == CLAIM_IN_ALL
    assert {queue for queue, _ in [*first, *second, *third]} == queues
    assert slots.wants() == []


def test_queues_take_turns_when_there_is_little_room() -> None:
    slots = Slots(per_queue=4, total=4)
    for queue in ("a", "b", "c"):
        slots.note_work(queue)
        take(slots, queue, 1)
    order = []
    for _ in range(6):
        ((queue, count),) = slots.wants()
        assert count == 1
        order.append(queue)
        slots.note_work(queue)
    assert order == ["a", "b", "c", "a", "b", "c"]


def test_the_first_call_of_a_queue_finds_a_slot_however_many_others_are_busy() -> None:
    slots = Slots(per_queue=10, total=20)
    take(slots, "slow1", 10)
    take(slots, "slow2", 10)
    for queue in ("slow1", "slow2", "fast"):
        slots.note_work(queue)
    assert slots.wants() == [("fast", 1)]
    slots.take("fast")
    slots.note_work("fast")
    assert slots.wants() == []


def test_callbacks_have_a_total_of_their_own() -> None:
    slots = Slots(per_queue=10, total=20)
    slots.note_work("callbacks:1")
    assert slots.wants() == [("callbacks:1", 20)]
    take(slots, "callbacks:1", 20)
    slots.note_work("echo")
    slots.note_work("callbacks:1")
    slots.note_work("callbacks:2")
    assert slots.wants() == [("echo", 10), ("callbacks:2", 1)]


def test_nothing_is_remembered_of_queues_that_are_idle() -> None:
    slots = Slots(per_queue=2, total=4)
    for number in range(100):
        queue = f"q{number}"
        slots.note_work(queue)
        slots.wants()
        slots.take(queue)
        slots.give_back(queue)
    assert slots.in_flight == 0
    assert not slots._in_flight
    assert not slots.has_work


def test_the_queues_of_priorities_are_one_with_theirs() -> None:
    slots = Slots(per_queue=3, total=100)
    slots.note_work("a:high")
    slots.note_work("a:low")
    slots.take("a:high")
    slots.take("a")
    assert slots.wants() == [("a", 1)]
    slots.give_back("a:high")
    slots.note_work("a")
    assert slots.wants() == [("a", 2)]
