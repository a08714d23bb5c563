"""The queue in plain Python: what each step does to it, and what Redis should hold then."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from swarmfn.wire.priorities import priority_queues, split_priority
from tests.support.queue_contents import compared
from tests.support.queue_stage import CALLBACKS

ALONE = "swarmfn:alone"
KEPT_RESULTS = 10
FINAL = ("finished", "failed", "canceled")
_LETTERS = ("failed", "expired", "cancelled")
_OF_ONE_RUN = ("state", "failures", "attempts", "interruptions", "answer", "callback", "delivery", "expires")


@dataclass
class Job:
    """A call, or the delivery that `reports` one. status and state are those of its record; body and answer: `small`,
    `large` or empty; is_due: it was put off until now or earlier; has_started: it was claimed to be run, not only
    to be recorded as expired; results: how often it has ended; expires: `soon`, `late` (it has passed) or empty."""

    job_id: str
    function: str
    queue: str
    body: str = ""
    reports: str = ""
    status: str = "queued"
    state: str = ""
    execution: str = ""
    failures: int = 0
    interruptions: int = 0
    attempts: bool = False
    answer: str = ""
    callback: str = ""
    delivery: str = ""
    expires: str = ""
    is_due: bool = False
    has_started: bool = False
    results: int = 0

    def letter(self) -> str:
        if self.reports:
            return f"undelivered:{self.function}"
        return f"{self.state}:{self.function}:{self.queue}"


@dataclass
class Lease:
    """One claim. limited: the function towards whose limit it counts, if any."""

    job_id: str
    execution: str
    queue: str
    worker: str
    has_lapsed: bool = False
    limited: str = ""

    @property
    def rq_entry(self) -> str:
        return f"{self.job_id}:{self.execution}"


@dataclass
class Limits:
    """Of the functions of a queue; others: it has functions without one too."""

    functions: dict[str, int]
    others: bool


@dataclass
class Model:
    """Each step returns what the platform should answer. lists: by key, in their order; leases: by entry; known: the
    queues there are; kinds: the letters there may be; leftovers: members of registries whose job is gone; uncounted:
    calls that RQ's own tools took out of the books, less those that they put back."""

    jobs: dict[str, Job] = field(default_factory=dict)
    lists: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    leases: dict[str, Lease] = field(default_factory=dict)
    totals: Counter[str] = field(default_factory=Counter)
    known: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    stops: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    keys: dict[str, str] = field(default_factory=dict)
    leftovers: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    is_suspended: bool = False
    uncounted: int = 0

    def copy(self) -> Model:
        """To try a claim on: what that does not change is shared."""
        other = copy(self)
        other.jobs = {job_id: copy(job) for job_id, job in self.jobs.items()}
        other.lists = defaultdict(list, {key: list(members) for key, members in self.lists.items()})
        other.leases, other.totals = dict(self.leases), Counter(self.totals)
        return other

    # --- what Redis should hold ---

    def view(self) -> dict[str, Any]:
        """Every key with its members."""
        sets: defaultdict[str, set[str]] = defaultdict(set)
        view: dict[str, Any] = {key: list(ids) for key, ids in self.lists.items() if ids}
        for job in self.jobs.values():
            view[f"rq:job:{job.job_id}"] = _hash_of(job)
            for key, member in _entries_of(job):
                sets[key].add(member)
            view |= _bodies_of(job)
        for entry, lease in self.leases.items():
            sets["swarmfn:leases"].add(entry)
            sets[f"swarmfn:claims:{lease.worker}"].add(entry)
            sets[f"rq:wip:{lease.queue}"].add(lease.rq_entry)
        for key in self.lists:
            if key.startswith("swarmfn:held:") and self.lists[key]:
                sets["swarmfn:held"].add(key.removeprefix("swarmfn:held:"))
        sets |= {"swarmfn:queues": self.known, "rq:queues": {f"rq:queue:{name}" for name in self.known}}
        sets["swarmfn:letters"] = self.kinds
        sets |= {f"swarmfn:stop:{worker}": entries for worker, entries in self.stops.items()}
        for key, members in self.leftovers.items():
            sets[key] = sets[key] | members
        view |= {key: members for key, members in sets.items() if members}
        view |= {f"swarmfn:idempotency:{name}": text.encode() for name, text in self.keys.items()}
        view |= {"swarmfn:totals": {name: str(number) for name, number in self.totals.items()}} if self.totals else {}
        return view | ({"rq:suspended": b"1"} if self.is_suspended else {})

    def expiring(self) -> set[str]:
        keys = {f"rq:results:{job.job_id}" for job in self.jobs.values() if job.results}
        for job in self.jobs.values():
            if job.state:
                keys |= {f"rq:job:{job.job_id}", *_bodies_of(job)}
        return keys

    def pending(self) -> int:
        """Calls that wait, are put off or run; those cancelled through RQ run until their worker hears of it."""
        waiting = sum(
            job.status in ("queued", "scheduled", "deferred") for job in self.jobs.values() if not job.reports
        )
        return waiting + sum(not lease.queue.startswith("callbacks") for lease in self.leases.values())

    def with_status(self, *statuses: str) -> list[str]:
        return sorted(job.job_id for job in self.jobs.values() if job.status in statuses)

    def held(self) -> list[tuple[str, str]]:
        """Functions of which calls are held back, each with the queue they are on."""
        prefix = "swarmfn:held:"
        names = sorted(key.removeprefix(prefix) for key, ids in self.lists.items() if ids and key.startswith(prefix))
        pairs = (name.partition(":") for name in names)
        return [(function, queue) for function, _, queue in pairs]

    # --- steps ---

    def submit(self, job: Job, due: str = "", key: str = "", fingerprint: str = "") -> Any:
        """due: `soon`, `later`, or empty for at once."""
        if key:
            if key in self.keys:
                call_id, _, known = self.keys[key].partition(" ")
                return call_id if known == fingerprint else "reused"
            self.keys[key] = f"{job.job_id} {fingerprint}"
        self.jobs[job.job_id] = job
        self.known.add(job.queue)
        if due:
            job.status = "scheduled"
        else:
            self.lists[f"rq:queue:{job.queue}"].append(job.job_id)
        self._count("accepted", job)
        return True

    def depth(self, base: str) -> int:
        """How many wait or are put off in a queue and those of its priorities."""
        waiting = self.with_status("queued", "scheduled", "deferred")
        return sum(self.jobs[job_id].queue in priority_queues(base) for job_id in waiting)

    def claim(
        self, claims: Sequence[Any], worker: str, base: str, wanted: int, limits: Limits | None, order: Sequence[str]
    ) -> list[tuple[str, bool]]:
        """What should be claimed: ids, and whether each has expired. `claims` has their executions, `order` is that of
        functions."""
        taken: list[tuple[str, bool]] = []
        if self.is_suspended:
            return taken
        left = wanted
        for queue in [base] if base.startswith("callbacks") else priority_queues(base):
            turn = _Turn(self, claims, worker, queue, taken)
            left -= turn.any(left) if limits is None else turn.within(left, limits, order)
            if left <= 0:
                break
        return taken

    def claim_alone(self, claims: Sequence[Any], worker: str, limits: Mapping[str, int]) -> list[tuple[str, bool]]:
        taken: list[tuple[str, bool]] = []
        waiting = self.lists[ALONE]
        for _ in range(0 if self.is_suspended else len(waiting)):
            member = waiting.pop(0)
            job_id, _, queue = member.partition(":")
            job = self.jobs.get(job_id)
            function = job.function if job and not job.reports and job.function in limits else ""
            if job and function and job.status == "deferred" and self.room(function, limits[function]) == 0:
                waiting.append(member)
            elif _Turn(self, claims, worker, queue, taken).take(job_id, "deferred", function):
                break
        return taken

    def room(self, function: str, limit: int) -> int:
        return max(0, limit - len(self.running(function)))

    def running(self, function: str) -> set[str]:
        """The entries that count towards a function's limit."""
        return {entry for entry, lease in self.leases.items() if lease.limited == function}

    def renew(self, entries: Iterable[str]) -> frozenset[str]:
        lost = set()
        for entry in entries:
            job = self.jobs.get(entry.partition(":")[0])
            if entry not in self.leases or (job and job.status == "canceled"):
                lost.add(entry)
            else:
                self.leases[entry].has_lapsed = False
        return frozenset(lost)

    def still_holds(self, entry: str) -> Job | None:
        """The job of a claim that is still good; else nothing of the claim is left."""
        job_id, execution, _ = entry.split(":", 2)
        job = self.jobs.get(job_id)
        if job and job.execution == execution and job.status != "canceled":
            return job
        self.leases.pop(entry, None)
        if job and job.execution == execution:
            job.execution = ""
            self._count("cancelled", job)
        return None

    def finish(self, entry: str, counter: str, state: str, answer: str, delivery: Job | None, note: str) -> bool:
        job = self.still_holds(entry)
        if job is None:
            return False
        self._release(job, entry)
        job.status, job.state = ("finished" if state == "succeeded" else "failed"), state
        job.answer, job.attempts, job.results = answer, True, min(job.results + 1, KEPT_RESULTS)
        if state == "succeeded":
            job.body = ""
        else:
            self.kinds.add(counter)
        self.totals[counter] += 1
        if delivery is not None:
            self.jobs[delivery.job_id] = delivery
            self.lists[f"rq:queue:{CALLBACKS}"].append(delivery.job_id)
            self.known.add(CALLBACKS)
            job.delivery, job.callback = delivery.job_id, "queued"
        self._tell_parent(job, note)
        return True

    def retry_later(self, entry: str, is_due: bool, failures: int, counter: str, note: str) -> bool:
        job = self.still_holds(entry)
        if job is None:
            return False
        self._release(job, entry)
        job.status, job.is_due = "scheduled", is_due or job.expires == "late"
        job.failures, job.attempts = failures, True
        self.totals[counter] += 1
        self._tell_parent(job, note)
        return True

    def put_back(self, entry: str, is_alone: bool, is_charged: bool) -> bool:
        """To the head of its queue, or where it is to be run alone."""
        job = self.still_holds(entry)
        if job is None:
            return False
        self._release(job, entry)
        self.known.add(job.queue)
        if not is_alone:
            self.lists[f"rq:queue:{job.queue}"].insert(0, job.job_id)
        else:
            waiting = self.lists[ALONE]
            waiting.insert(len(waiting) if is_charged else 0, f"{job.job_id}:{job.queue}")
        job.status = "deferred" if is_alone else "queued"
        job.interruptions += 1
        job.failures += is_charged
        return True

    def reap(self, lapsed: Sequence[str]) -> int:
        """Those that have lapsed, in the order of their leases."""
        number_of = Counter(lease.worker for lease in self.leases.values())
        returned = 0
        for entry in reversed(lapsed):
            job = self.jobs.get(entry.partition(":")[0])
            is_only = number_of[self.leases[entry].worker] == 1
            is_alone = job is not None and job.interruptions > 0
            returned += self.put_back(entry, is_alone, is_only)
        return returned

    def cancel(self, job_id: str) -> str:
        job = self.jobs.get(job_id)
        if job is None or job.reports:
            return "unknown"
        was = job.status
        if was in FINAL:
            return "final"
        self._leave(job)
        if was == "started":
            (entry,) = [entry for entry, lease in self.leases.items() if lease.execution == job.execution]
            self.stops[self.leases[entry].worker].add(entry)
            self._release(job, entry)
        if job.state:
            self._count("redriven", job)
        job.status, job.state, job.body = "canceled", "cancelled", ""
        self._count("cancelled", job)
        self.kinds.add(job.letter())
        return "queued" if was == "deferred" else was

    def promote(self, due: Iterable[str]) -> None:
        """due: members of swarmfn:due whose time has come, in their order."""
        for member in due:
            job_id, _, queue = member.partition(":")
            self.leftovers["swarmfn:due"].discard(member)
            job = self.jobs.get(job_id)
            if job and job.status == "scheduled":
                job.status = "queued"
                self.lists[f"rq:queue:{queue}"].append(job_id)
                self.known.add(queue)

    def let_go(self, function: str, queue: str) -> None:
        held = self.lists[f"swarmfn:held:{function}:{queue}"]
        alive = [job_id for job_id in held if job_id in self.jobs and self.jobs[job_id].status == "deferred"]
        held.clear()
        for job_id in alive:
            self.jobs[job_id].status = "queued"
        self.lists[f"rq:queue:{queue}"][:0] = alive
        if alive:
            self.known.add(queue)

    def redrive(self, job_id: str) -> str:
        job = self.jobs.get(job_id)
        if job is None:
            return "unknown"
        if job.status != "failed":
            return "ended" if job.status in FINAL else "pending"
        counted = f"redelivered:{job.function}" if job.reports else f"redriven:{job.function}:{job.queue}"
        self.totals[counted] += 1
        self.begin_anew(job)
        job.status = "queued"
        self.lists[f"rq:queue:{job.queue}"].append(job_id)
        self.known.add(job.queue)
        self._tell_parent(job, "queued")
        return "redriven"

    def begin_anew(self, job: Job) -> None:
        plain = Job(job.job_id, job.function, job.queue)
        for name in _OF_ONE_RUN:
            setattr(job, name, getattr(plain, name))

    def purge(self, job_id: str, status: str = "") -> str:
        job = self.jobs.get(job_id)
        if job is None:
            return "unknown"
        if job.status == "started" or job.execution:
            return "running"
        if status not in ("", job.status) and (status, job.status) != ("queued", "deferred"):
            return "changed"
        if job.status in FINAL:
            if not job.reports:
                self._count("forgotten", job)
        else:
            self._leave(job)
            self._count_purged(job)
        del self.jobs[job_id]
        return "purged"

    def _count_purged(self, job: Job) -> None:
        self._tell_parent(job, "failed, purged")
        if job.reports:
            self.totals[f"undelivered:{job.function}"] += 1
            return
        self._count("purged", job)
        if job.state:
            self._count("redriven", job)

    def tidy(self) -> None:
        for key in list(self.leftovers):
            if key != "swarmfn:due":
                del self.leftovers[key]
        view = self.view()
        letters = "swarmfn:letters:"
        self.kinds = {kind for kind in self.kinds if view.get(letters + kind)}
        registries = ("queue", "wip", "finished", "failed", "scheduled", "deferred", "canceled")
        self.known = {name for name in self.known if any(f"rq:{kind}:{name}" in view for kind in registries)}

    # --- what happens beside our own steps ---

    def expire(self, job_id: str) -> None:
        """The record of a final job, and its entry in the registry, are past their time."""
        job = self.jobs.pop(job_id)
        for key, member in _entries_of(job):
            self.leftovers[key].add(member)

    def cancel_through_rq(self, job_id: str) -> None:
        job = self.jobs[job_id]
        if job.status == "queued":
            self.lists[f"rq:queue:{job.queue}"].remove(job_id)
        if job.status == "scheduled":
            self.leftovers["swarmfn:due"].add(f"{job_id}:{job.queue}")
        if job.status != "started" and not job.reports:
            self.uncounted += 1
        job.status = "canceled"

    def requeue_through_rq(self, job_id: str) -> None:
        job = self.jobs[job_id]
        job.status = "queued"
        self.lists[f"rq:queue:{job.queue}"].append(job_id)
        self.uncounted -= not job.reports

    # --- parts of steps ---

    def _count(self, event: str, job: Job) -> None:
        """Of calls only. One that RQ put back into the books is counted when it is claimed or taken away."""
        if not job.reports:
            self.totals[f"{event}:{job.function}:{job.queue}"] += 1
            self.uncounted += event == "redriven"

    def _release(self, job: Job, entry: str) -> None:
        self.leases.pop(entry, None)
        job.execution = ""

    def _leave(self, job: Job) -> None:
        """Out of the list it waits in."""
        for key, members in self.lists.items():
            member = f"{job.job_id}:{job.queue}" if key == ALONE else job.job_id
            if member in members:
                members.remove(member)

    def _tell_parent(self, job: Job, note: str) -> None:
        parent = self.jobs.get(job.reports)
        if parent and parent.delivery == job.job_id:
            parent.callback = note


class _Turn:
    """The turn of one priority's queue within a claim."""

    def __init__(
        self, model: Model, claims: Sequence[Any], worker: str, queue: str, taken: list[tuple[str, bool]]
    ) -> None:
        self._model = model
        self._claims = claims
        self._worker = worker
        self._queue = queue
        self._taken = taken
        self._waiting = model.lists[f"rq:queue:{queue}"]

    def any(self, wanted: int) -> int:
        ids = [self._waiting.pop(0) for _ in range(min(wanted, len(self._waiting)))]
        for job_id in ids:
            self.take(job_id)
        return len(ids)

    def within(self, wanted: int, limits: Limits, order: Sequence[str]) -> int:
        rooms = {function: self._model.room(function, limit) for function, limit in limits.functions.items()}
        wanted = wanted if limits.others else min(wanted, sum(rooms.values()))
        start = len(self._taken)

        def left() -> int:
            return wanted - (len(self._taken) - start)

        for function in order:
            held = self._model.lists[f"swarmfn:held:{function}:{self._queue}"]
            while held and rooms[function] > 0 and left() > 0:
                rooms[function] -= self.take(held.pop(0), "deferred", function)
        while self._waiting and left() > 0:
            self._next(rooms)
        return len(self._taken) - start

    def _next(self, rooms: dict[str, int]) -> None:
        job_id = self._waiting.pop(0)
        job = self._model.jobs.get(job_id)
        function = job.function if job and not job.reports and job.function in rooms else ""
        if job and function and rooms[function] == 0:
            if job.status == "queued":
                job.status = "deferred"
                self._model.lists[f"swarmfn:held:{function}:{self._queue}"].append(job_id)
        elif self.take(job_id, limited=function) and function:
            rooms[function] -= 1

    def take(self, job_id: str, status: str = "queued", limited: str = "") -> bool:
        job = self._model.jobs.get(job_id)
        if job is None or job.status not in ("queued", status):
            return False
        if job.state:
            self._model._count("redriven", job)
            self._model.begin_anew(job)
        if job.expires != "late":
            self._model._count("started", job)
            job.has_started = True
        position = len(self._taken)
        job.execution = self._claims[position].execution if position < len(self._claims) else "none"
        lease = Lease(job_id, job.execution, self._queue, self._worker, limited=limited)
        self._model.leases[f"{lease.rq_entry}:{self._queue}"] = lease
        job.status = "started"
        self._taken.append((job_id, job.expires == "late"))
        return True


def base_of(queue: str) -> str:
    return queue if queue.startswith("callbacks") else split_priority(queue)[0]


def _hash_of(job: Job) -> dict[str, Any]:
    fields = {name: getattr(job, name) for name in ("status", "state", "execution", "callback", "delivery")}
    fields |= {name: getattr(job, name) for name in ("failures", "interruptions", "attempts", "expires")}
    fields |= {"origin": job.queue, "large" if job.body == "large" else "body": job.body}
    return compared(fields | {"large_answer" if job.answer == "large" else "answer": job.answer})


def _bodies_of(job: Job) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    if job.body == "large":
        keys[f"swarmfn:body:{job.job_id}"] = b"L" * 100
    if job.answer == "large":
        keys[f"swarmfn:response:{job.job_id}"] = b"L" * 100
    return keys | ({f"rq:results:{job.job_id}": job.results} if job.results else {})


def _entries_of(job: Job) -> Iterable[tuple[str, str]]:
    """Where it is beside the lists, as key and member."""
    registry = {"scheduled": "scheduled", "deferred": "deferred", "finished": "finished", "failed": "failed"}
    registry["canceled"] = "canceled"
    if job.status in registry:
        yield f"rq:{registry[job.status]}:{job.queue}", job.job_id
    if job.status == "scheduled":
        yield "swarmfn:due", f"{job.job_id}:{job.queue}"
    if job.body == "large":
        yield "swarmfn:bodies", job.job_id
    if job.state in _LETTERS:
        yield f"swarmfn:letters:{job.letter()}", job.job_id
