"""All steps of the queue in any order, beside a model of it: nothing is lost, nothing is in two places.

A failure prints the steps that lead to it, as few as were found, and the seed: `--seed` runs the same ones again.
"""

from __future__ import annotations

import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from swarmfn.jobs.calls_by_state import STATES, CallsByState, Selection
from swarmfn.jobs.claim import Claim
from swarmfn.jobs.completions import Completion
from swarmfn.jobs.terms import Full, IdempotencyKey, QueueLimits, Replay, Terms
from swarmfn.wire.errors import KeyReused
from swarmfn.wire.priorities import PRIORITIES, lane
from tests.support.modelled_queue import ModelledQueue
from tests.support.queue_contents import read_contents
from tests.support.queue_model import ALONE, FINAL, Job, Limits, base_of
from tests.support.queue_stage import CALLBACKS, QueueStage, delivery, failure, invocation, postponement, success
from tests.support.redis_server import RedisServer

SERVED = {"shared": ["fast", "slow"], "solo": ["solo"], CALLBACKS: []}
"""Queues, and the functions whose calls are on each."""

PAST, FUTURE, LEASE = 1.0, 3600.0, 30.0
BODIES = {"": b"", "small": b"small", "large": b"L" * 65_537}
DEEP = 4

functions = st.sampled_from(["slow", "fast", "solo"])
priorities = st.sampled_from(PRIORITIES)
sizes = st.sampled_from(["small", "small", "small", "", "large"])
workers = st.sampled_from(["w1", "w2"])
queues = st.sampled_from(list(SERVED))
limits = st.sampled_from([{"slow": 1}, {}, {"slow": 1, "fast": 2}, {"slow": 2, "solo": 1}])
which = st.integers(0, 11)
"""One of those there are."""

Condition = Callable[["AnyOrder"], Any]
Rule = TypeVar("Rule", bound=Callable[..., None])


class Step(NamedTuple):
    """A method of AnyOrder. weight: how often it is taken; is_possible: whether it has something to work on."""

    name: str
    weight: int
    is_possible: Condition
    arguments: st.SearchStrategy[dict[str, Any]]


STEPS: list[Step] = []


def step(weight: int, is_possible: Condition = bool, **arguments: st.SearchStrategy[Any]) -> Callable[[Rule], Rule]:
    def note(method: Rule) -> Rule:
        STEPS.append(Step(method.__name__, weight, is_possible, st.fixed_dictionaries(arguments)))
        return method

    return note


def are_there(*statuses: str) -> Condition:
    return lambda machine: machine.model.with_status(*statuses)


def next_step(machine: AnyOrder) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    # What comes first is chosen more often than its weight says.
    by_weight = sorted(STEPS, key=lambda step: -step.weight)
    steps = [step for step in by_weight if step.is_possible(machine) for _ in range(step.weight)]
    return st.sampled_from(steps).flatmap(lambda chosen: st.tuples(st.just(chosen.name), chosen.arguments))


class AnyOrder(ModelledQueue, RuleBasedStateMachine):
    """Every rule takes a step on both sides, compares what they answer, and then everything that Redis holds."""

    def __init__(self, stage: QueueStage) -> None:
        RuleBasedStateMachine.__init__(self)
        ModelledQueue.__init__(self, stage)
        self.calls = CallsByState(stage.redis)
        self.workers = {name: stage.consumer(name, LEASE) for name in ("w1", "w2")}
        self.claims: list[tuple[str, Claim]] = []
        self.number = itertools.count(1)

    def teardown(self) -> None:
        self.close()

    # Not rules of their own: of those Hypothesis leaves some out each time, and little happens without claims.
    @rule(chosen=st.runner().flatmap(next_step))
    def take(self, chosen: tuple[str, dict[str, Any]]) -> None:
        name, arguments = chosen
        getattr(self, name)(**arguments)

    # --- calls come in ---

    @initialize(priority=priorities, size=sizes)
    def begin(self, priority: str, size: str) -> None:
        """Not with nothing: there is more to do then."""
        for function in ("slow", "slow", "slow", "fast", "solo"):
            self._submit(self._job(function, priority, size))

    @step(6, function=functions, priority=priorities, size=sizes)
    def submit(self, function: str, priority: str, size: str) -> None:
        self._submit(self._job(function, priority, size))

    @step(2, function=functions, priority=priorities, size=sizes, is_past=st.booleans())
    def submit_for_later(self, function: str, priority: str, size: str, is_past: bool) -> None:
        job = self._job(function, priority, size)
        terms = Terms(run_at=PAST) if is_past else Terms(delay=FUTURE)
        self._submit(job, terms, due="" if is_past else "later")

    @step(2, function=functions, priority=priorities)
    def submit_with_an_end(self, function: str, priority: str) -> None:
        job = self._job(function, priority, "small")
        job.expires = "soon"
        self._submit(job, Terms(max_age=FUTURE))

    @step(2, function=functions, size=sizes, name=st.sampled_from("kl"), fingerprint=st.sampled_from("pq"))
    def submit_with_a_key(self, function: str, size: str, name: str, fingerprint: str) -> None:
        key = IdempotencyKey(f"{function}:{name}", fingerprint, FUTURE)
        self._submit(self._job(function, "normal", size), Terms(key), key=key.name, fingerprint=fingerprint)

    @step(2, function=functions, priority=priorities, size=sizes)
    def submit_within_limits(self, function: str, priority: str, size: str) -> None:
        job = self._job(function, priority, size)
        base = base_of(job.queue)
        terms = Terms(limits=QueueLimits(base, max_depth=DEEP))
        if self.model.depth(base) < DEEP:
            self._submit(job, terms)
            return
        full = self.stage.submit(invocation(job.job_id, function, queue=job.queue), BODIES[size], terms)
        assert isinstance(full, Full)
        assert (full.by_age, full.depth) == (False, self.model.depth(base))
        self.done(f"submit to {job.queue}, which is full")

    @step(1, lambda self: self.model.jobs, which=which, size=sizes)
    def submit_a_taken_id(self, which: int, size: str) -> None:
        job = self._one(self._all(), which)
        stored = self.stage.submit(invocation(job.job_id, "solo", path="/another"), BODIES[size])
        assert stored is False
        self.done(f"submit {job.job_id} once more")

    # --- workers take them ---

    @step(
        14,
        lambda self: len(self.model.leases) < 12,
        worker=workers,
        queue=queues,
        count=st.sampled_from([4, 3, 2, 1]),
        limits=limits,
    )
    def claim(self, worker: str, queue: str, count: int, limits: dict[str, int]) -> None:
        own = {name: limit for name, limit in limits.items() if name in SERVED[queue]}
        self.steps.append(f"{worker} claims up to {count} of {queue} within {own}")
        wanted = Limits(own, others=len(own) < len(SERVED[queue])) if own else None
        text = json.dumps({"limits": own, "others": wanted.others}) if wanted else ""
        claimed = self.stage.run(self.workers[worker].claim([(queue, count)], lambda _: text))
        before = self.model.copy()
        found = [(claim.job_id, claim.has_expired) for claim in claimed.claims]
        # Which of several functions has its turn first is left open.
        expected = []
        for order in itertools.permutations(own):
            self.model = before.copy()
            expected.append(self.model.claim(claimed.claims, worker, queue, count, wanted, order))
            if expected[-1] == found:
                break
        assert found in expected, f"{worker} claimed {found}, not {expected[0]}\n{self.story()}"
        if queue not in claimed.more:
            rest = self.model.copy().claim([], worker, queue, count, wanted, list(own))
            assert rest == [], f"{rest} waited although nothing more was announced\n{self.story()}"
        self.claims += [(worker, claim) for claim in claimed.claims]
        self.done()

    @step(4, lambda self: self.model.lists[ALONE], worker=workers, limits=limits)
    def claim_alone(self, worker: str, limits: dict[str, int]) -> None:
        text = json.dumps({"limits": limits, "others": True})
        claimed = self.stage.run(self.workers[worker].claim_alone(text))
        found = [(claim.job_id, claim.has_expired) for claim in claimed.claims]
        expected = self.model.claim_alone(claimed.claims, worker, limits)
        assert found == expected, f"{worker} claimed {found}, not {expected}\n{self.story()}"
        self.claims += [(worker, claim) for claim in claimed.claims]
        self.done(f"{worker} claims one to run alone within {limits}: {found}")

    @step(2, lambda self: self.claims, worker=workers)
    def renew(self, worker: str) -> None:
        claims = [claim for owner, claim in self.claims if owner == worker]
        lost = self.stage.run(self.workers[worker].renew(claims))
        self.agree(f"{worker} renews {_ids(claims)}", lost, self.model.renew(claim.entry for claim in claims))
        now = self.stage.redis.time()[0]
        self.done(f"{worker} renewed")
        leases = self.contents.scores.get("swarmfn:leases", {})
        kept = [leases[claim.entry] for claim in claims if claim.entry not in lost]
        assert all(score > now + LEASE / 2 for score in kept), self.story()

    @step(10, lambda self: self.claims, which=which, ends_well=st.booleans(), size=sizes, has_callback=st.booleans())
    def finish(self, which: int, ends_well: bool, size: str, has_callback: bool) -> None:
        worker, claim = self.claims[which % len(self.claims)]
        job = self.model.jobs.get(claim.job_id, Job(claim.job_id, "gone", claim.queue))
        completion, sent, note = self._completion(job, claim, ends_well, size, has_callback)
        done = self.stage.finish(claim, completion, by=self.workers[worker])
        expected = self.model.finish(claim.entry, completion.counter, completion.state, size, sent, note)
        self.claims.remove((worker, claim))
        self.agree(f"{worker} finishes {claim.entry} as {completion.state}", done, expected)
        self.done()

    @step(4, lambda self: self.claims, which=which, is_due=st.booleans(), failures=st.integers(0, 2))
    def retry_later(self, which: int, is_due: bool, failures: int) -> None:
        worker, claim = self.claims[which % len(self.claims)]
        job = self.model.jobs.get(claim.job_id, Job(claim.job_id, "gone", claim.queue))
        counter = f"offered_again:{job.function}" if job.reports else f"retried:{job.function}:{job.queue}"
        note = "retrying" if job.reports else ""
        later = postponement(
            -1.0 if is_due else FUTURE, failures, counter=counter, parent=job.reports, parent_note=note
        )
        done = self.stage.run(self.workers[worker].retry_later(claim, later))
        expected = self.model.retry_later(claim.entry, is_due, failures, counter, note)
        self.claims.remove((worker, claim))
        self.agree(f"{worker} puts {claim.entry} off", done, expected)
        self.done()

    @step(3, lambda self: self.claims, worker=workers, count=st.integers(1, 3))
    def hand_back(self, worker: str, count: int) -> None:
        claims = [claim for owner, claim in self.claims if owner == worker][:count]
        number = self.stage.run(self.workers[worker].hand_back(claims))
        expected = sum(self.model.put_back(claim.entry, False, False) for claim in reversed(claims))
        for claim in claims:
            self.model.leases.pop(claim.entry, None)
            self.claims.remove((worker, claim))
        self.agree(f"{worker} hands {_ids(claims)} back", number, expected)
        self.done()

    @step(2, lambda self: self.model.leases, worker=workers)
    def die(self, worker: str) -> None:
        """What it claimed is put aside in any order, and it will finish nothing of that."""
        entries = sorted(entry for entry, lease in self.model.leases.items() if lease.worker == worker)
        number = self.stage.hand_back_all(worker)
        expected = sum(self.model.put_back(entry, True, len(entries) == 1) for entry in entries)
        put_aside = read_contents(self.stage.redis).keys.get(ALONE, [])
        if sorted(put_aside) == sorted(self.model.lists[ALONE]):
            self.model.lists[ALONE] = put_aside
        self.agree(f"{worker} dies", number, expected)
        self.done()

    # --- time passes ---

    @step(4, lambda self: self.model.leases, worker=workers)
    def lapse(self, worker: str) -> None:
        for entry, lease in self.model.leases.items():
            if lease.worker == worker:
                lease.has_lapsed = True
                self.stage.redis.zadd("swarmfn:leases", {entry: PAST})
        self.done(f"the leases of {worker} lapse")

    @step(4)
    def reap(self) -> None:
        lapsed = sorted(entry for entry, lease in self.model.leases.items() if lease.has_lapsed)
        self.agree("reap", self.stage.reap(), self.model.reap(lapsed))
        self.done()

    @step(3, are_there("scheduled"), which=which)
    def come_due(self, which: int) -> None:
        job = self._one(self.model.with_status("scheduled"), which)
        job.is_due = True
        self.stage.redis.zadd("swarmfn:due", {f"{job.job_id}:{job.queue}": PAST})
        self.stage.redis.zadd(f"rq:scheduled:{job.queue}", {job.job_id: PAST})
        self.done(f"{job.job_id} comes due")

    @step(3, worker=workers)
    def promote(self, worker: str) -> None:
        now = time.time()
        scores = sorted((score, member) for member, score in self.contents.scores.get("swarmfn:due", {}).items())
        promoted = self.stage.run(self.workers[worker].promote())
        self.model.promote(member for score, member in scores if score <= now)
        self.agree("promote", promoted.cancelled, frozenset(self.model.stops[worker]))
        self.done()

    @step(2, are_there("queued", "scheduled", "deferred", "started"), which=which)
    def grow_old(self, which: int) -> None:
        """It is not worth running any more, if it has such a moment."""
        job = self._one(self.model.with_status("queued", "scheduled", "deferred", "started"), which)
        if job.expires:
            job.expires = "late"
            self.stage.redis.hset(f"rq:job:{job.job_id}", "expires", str(PAST))
        self.done(f"{job.job_id} grows old")

    @step(2, are_there(*FINAL), which=which)
    def forget(self, which: int) -> None:
        """A record that is past its time goes away, and its entry in RQ's registry is past its own."""
        job = self._one(self.model.with_status(*FINAL), which)
        if not job.state:
            return
        self.model.expire(job.job_id)
        names = [f"rq:job:{job.job_id}", f"rq:results:{job.job_id}"]
        self.stage.redis.delete(*names, f"swarmfn:body:{job.job_id}", f"swarmfn:response:{job.job_id}")
        self.stage.redis.zadd(f"rq:{job.status}:{job.queue}", {job.job_id: PAST})
        self.done(f"the record of {job.job_id} expires")

    @step(2)
    def tidy(self) -> None:
        self.stage.tidy()
        self.model.tidy()
        self.done("tidy")

    # --- people steer them ---

    @step(4, lambda self: self.model.jobs, which=which)
    def cancel(self, which: int) -> None:
        job = self._one(self._all(), which)
        self.agree(f"cancel {job.job_id}", self.stage.cancel(job.job_id), self.model.cancel(job.job_id))
        self.done()

    @step(4, lambda self: self.model.jobs, which=which)
    def redrive(self, which: int) -> None:
        job_id = self._one(self._preferably(self.model.with_status("failed"), which), which).job_id
        again = [job_id, job_id]
        self.agree(f"redrive {job_id} twice", self.calls.redrive(again), list(map(self.model.redrive, again)))
        self.done()

    @step(
        1,
        are_there("failed"),
        state=st.sampled_from(["failed", "expired", "undelivered"]),
        function=st.sampled_from(["", "slow"]),
    )
    def redrive_all(self, state: str, function: str) -> None:
        selection = Selection(state, function)
        done = self.calls.redrive_all(selection, FUTURE)
        replies = Counter(self.model.redrive(job_id) for job_id in self._by_letter(selection))
        self.agree(f"redrive all that is {state} of {function or 'all'}", done.replies, replies)
        self.done()

    @step(3, lambda self: self.model.jobs, which=which, status=st.sampled_from(["", "", "queued", "failed"]))
    def purge(self, which: int, status: str) -> None:
        job = self._one(self._preferably(self._queued_again(), which), which)
        replies = self.calls.purge([job.job_id, "none"], status)
        self.agree(f"purge {job.job_id}", replies, [self.model.purge(job.job_id, status), "unknown"])
        self.done()

    @step(
        1,
        are_there("queued", "scheduled", "deferred", *FINAL),
        state=st.sampled_from([*STATES[:4], "queued", "scheduled", "retrying", "succeeded"]),
        function=functions,
    )
    def purge_all(self, state: str, function: str) -> None:
        selection = Selection(state, function)
        ids = self._selected(selection)
        done = self.calls.purge_all(selection, FUTURE)
        replies = Counter(self.model.purge(job_id) for job_id in ids)
        self.agree(f"purge all that is {state} of {function}", done.replies, replies)
        self.done()

    @step(1, state=st.sampled_from(STATES))
    def look(self, state: str) -> None:
        selection = Selection(state)
        page = self.calls.page(selection, 100)
        found = sorted({record.call_id for record in page.records})
        self.agree(f"look at what is {state}", found, self._selected(selection))

    @step(1, worker=workers, queue=queues)
    def suspend(self, worker: str, queue: str) -> None:
        """Nothing is claimed until RQ is resumed."""
        self.model.is_suspended = True
        self.stage.redis.set("rq:suspended", 1)
        self.claim(worker, queue, 4, {})
        self.claim_alone(worker, {})
        self.model.is_suspended = False
        self.stage.redis.delete("rq:suspended")
        self.done("resume")

    @step(2, function=functions, priority=priorities)
    def let_go(self, function: str, priority: str) -> None:
        queue = lane(_queue_of(function), priority)
        self.stage.run(self.stage.worker.let_go(function, queue, at_once=2))
        self.model.let_go(function, queue)
        self.done(f"let go of {function} on {queue}")

    @step(3, are_there("queued", "scheduled", "deferred", "started"), which=which)
    def cancel_through_rq(self, which: int) -> None:
        job = self._one(self.model.with_status("queued", "scheduled", "deferred", "started"), which)
        self.stage.job(job.job_id).cancel()
        self.model.cancel_through_rq(job.job_id)
        self.done(f"RQ cancels {job.job_id}")

    @step(4, are_there("failed"), which=which)
    def requeue_through_rq(self, which: int) -> None:
        job = self._one(self.model.with_status("failed"), which)
        self.stage.job(job.job_id).requeue()
        self.model.requeue_through_rq(job.job_id)
        self.done(f"RQ queues {job.job_id} again")

    # --- parts of rules ---

    def _job(self, function: str, priority: str, size: str) -> Job:
        return Job(f"c{next(self.number)}", function, lane(_queue_of(function), priority), body=size)

    def _submit(
        self, job: Job, terms: Terms | None = None, due: str = "", key: str = "", fingerprint: str = ""
    ) -> None:
        call = invocation(job.job_id, job.function, queue=job.queue)
        try:
            stored: Any = self.stage.submit(call, BODIES[job.body], *([terms] if terms else []))
        except KeyReused:
            stored = "reused"
        stored = stored.call_id if isinstance(stored, Replay) else stored
        expected = self.model.submit(job, due, key, fingerprint)
        self.agree(f"submit {job.job_id} of {job.function} to {job.queue} {terms or ''}", stored, expected)
        if stored is True and not terms:
            assert self.stage.submit(call, BODIES[job.body]) is True
        self.done()

    def _completion(
        self, job: Job, claim: Claim, ends_well: bool, size: str, has_callback: bool
    ) -> tuple[Completion, Job | None, str]:
        """The end of a claim, the delivery that is to be queued, and what its call's record says then."""
        answer = BODIES[size]
        if job.reports:
            counter = f"delivered:{job.function}" if ends_well else f"undelivered:{job.function}"
            note = "delivered" if ends_well else "failed"
            plain = success if ends_well else failure
            return plain(answer, counter=counter, parent=job.reports, parent_note=note), None, note
        state = "expired" if claim.has_expired else "succeeded" if ends_well else "failed"
        counter = f"{state}:{job.function}:{job.queue}"
        if not has_callback:
            return success(answer, state=state, counter=counter), None, ""
        sent = Job(f"cb_{next(self.number)}", "echo", CALLBACKS, size, reports=job.job_id)
        order = delivery(sent.job_id, job.job_id)
        return success(answer, state=state, counter=counter, delivery=order, delivery_body=answer), sent, ""

    def _all(self) -> list[str]:
        return sorted(self.model.jobs)

    def _queued_again(self) -> list[str]:
        """By hand, and those that RQ cancelled while they run: they are easily miscounted."""
        jobs = self.model.jobs.values()
        return sorted(
            job.job_id
            for job in jobs
            if (job.state and job.status not in FINAL) or (job.status == "canceled" and job.execution)
        )

    def _preferably(self, ids: list[str], which: int) -> list[str]:
        return ids if ids and which % 3 else self._all()

    def _one(self, ids: Sequence[str], which: int) -> Job:
        return self.model.jobs[ids[which % len(ids)]]

    def _selected(self, selection: Selection) -> list[str]:
        """What a selection should name."""
        return sorted(job.job_id for job in self.model.jobs.values() if _is_selected(job, selection))

    def _by_letter(self, selection: Selection) -> list[str]:
        """The same, kind after kind and the oldest first."""
        found: list[tuple[str, float, str]] = []
        for job_id in self._selected(selection):
            kind = self.model.jobs[job_id].letter()
            found.append((kind, self.contents.scores[f"swarmfn:letters:{kind}"][job_id], job_id))
        return [job_id for *_, job_id in sorted(found)]


def _queue_of(function: str) -> str:
    return next(queue for queue, names in SERVED.items() if function in names)


def _ids(claims: Iterable[Claim]) -> list[str]:
    return [claim.job_id for claim in claims]


def _is_selected(job: Job, selection: Selection) -> bool:
    if selection.function and job.function != selection.function:
        return False
    if selection.state == "undelivered":
        return bool(job.reports) and job.status == "failed"
    if job.reports:
        return False
    # What RQ cancels is in no index of ours.
    states = {"queued": "queued", "deferred": "queued", "started": "running", "canceled": job.state and "cancelled"}
    state = states.get(job.status, job.state)
    if job.status == "scheduled":
        state = "retrying" if job.attempts or job.interruptions else "scheduled"
    return state == selection.state


_ORDINARY_SEED = 1


def run(server: RedisServer, examples: int, steps: int, number: int) -> None:
    with QueueStage(server) as stage:

        def machine() -> RuleBasedStateMachine:
            return AnyOrder(stage)

        options = settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            print_blob=True,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )
        try:
            run_state_machine_as_test(seed(number)(cast(Any, machine)), settings=options)
        except BaseException as failure:
            failure.add_note(f"The same again: --seed {number}")
            raise


@pytest.fixture
def number(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """The seed."""
    # Shorter is nicer, but not worth five minutes.
    monkeypatch.setattr("hypothesis.internal.conjecture.engine.MAX_SHRINKING_SECONDS", 40)
    # What Hypothesis remembers would be left in the checkout.
    set_hypothesis_home_dir(tmp_path)
    given = request.config.getoption("--seed")
    if given is not None:
        return int(given)
    # The same steps in every ordinary run: a fault that only others lead to is for the long form to find.
    return random.randrange(2**32) if request.node.get_closest_marker("long") else _ORDINARY_SEED


def test_any_order_of_steps_leads_where_the_model_says(queue_server: RedisServer, number: int) -> None:
    run(queue_server, 17, 50, number)


@pytest.mark.long
def test_many_orders_of_many_steps_too(queue_server: RedisServer, number: int) -> None:
    run(queue_server, 200, 80, number)
