"""Which queues to claim from next, and how many: in turn, each up to its own limit."""

from __future__ import annotations

from collections import Counter

from swarmfn.jobs.layout import base_queue, is_callback_queue

CLAIM_AT_ONCE = 64
"""Jobs of one queue in one claim: small enough that a long queue does not keep the others waiting."""

CLAIM_IN_ALL = 256
"""Jobs of all queues in one claim: their bodies, up to 64 KiB each, come in one reply."""


class Slots:
    """Counts what is in flight by queue, and remembers which queues may have work.

    The queues of a queue's priorities count as that one. Every queue has `per_queue` slots of its own, so that a slow
    function leaves the others theirs. `total` bounds them all together, except that a queue with nothing in flight may
    always have one: however many functions are busy, the first call of another does not wait for them. Callbacks have a
    total of their own: any number of dead receivers leaves the functions all of theirs. What a queue of callbacks may
    have is not bounded further, as there is no telling whose they are; see worker.receivers.
    """

    def __init__(self, per_queue: int, total: int) -> None:
        self._per_queue = {False: per_queue, True: total}
        self._total = total
        self._in_flight: Counter[str] = Counter()
        self._sums = {False: 0, True: 0}
        self._maybe: dict[str, None] = {}

    @property
    def in_flight(self) -> int:
        return sum(self._sums.values())

    @property
    def by_kind(self) -> dict[str, int]:
        """What is in flight: calls and callbacks."""
        return {"call": self._sums[False], "callback": self._sums[True]}

    @property
    def has_work(self) -> bool:
        """Some queue may hold jobs."""
        return bool(self._maybe)

    def note_work(self, queue: str) -> None:
        """`queue` may hold jobs."""
        self._maybe[base_queue(queue)] = None

    def wants(self) -> list[tuple[str, int]]:
        """What to ask for now. The queues named are taken off the list of those that may have work: a task that finds
        more there, or is notified of more meanwhile, notes it again."""
        wants: list[tuple[str, int]] = []
        rooms = {kind: self._total - used for kind, used in self._sums.items()}
        left = CLAIM_IN_ALL
        for queue in list(self._maybe):
            kind = is_callback_queue(queue)
            in_flight = self._in_flight.get(queue, 0)
            room = min(rooms[kind], left)
            room = room if in_flight else max(room, 1)
            count = min(CLAIM_AT_ONCE, self._per_queue[kind] - in_flight, room)
            if count <= 0:
                continue
            wants.append((queue, count))
            rooms[kind] -= count
            left -= count
            # Re-inserted by note_work, it comes last: that is the rotation.
            del self._maybe[queue]
        return wants

    def take(self, queue: str) -> None:
        queue = base_queue(queue)
        self._in_flight[queue] += 1
        self._sums[is_callback_queue(queue)] += 1

    def give_back(self, queue: str) -> None:
        queue = base_queue(queue)
        self._in_flight[queue] -= 1
        self._sums[is_callback_queue(queue)] -= 1
        if not self._in_flight[queue]:
            del self._in_flight[queue]
