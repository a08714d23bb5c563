"""All steps of the queue in any order, beside a model of it: nothing is lost, nothing is in two places.

A failure prints the steps that lead to it, as few as were found, and the seed: `--seed` runs the same ones again.
"""

from __future__ import annotations

import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from swarmfn.jobs.calls_by_state import STATES, Selection
from swarmfn.jobs.terms import Full, IdempotencyKey, QueueLimits, Terms
from swarmfn.wire.priorities import PRIORITIES, priority_queue
from tests.support.queue_contents import read_contents
from tests.support.queue_model import ALONE, FINAL, Job, Limits, base_of
from tests.support.queue_stage import CALLBACKS, QueueStage, invocation
from tests.support.queue_steps import (
    BODIES,
    DEEP,
    FUTURE,
    LEASE,
    PAST,
    SERVED,
    QueueSteps,
    has_a_past,
    ids_of,
    queue_of,
)
from tests.support.redis_server import RedisServer

functions = st.sampled_from(["slow", "fast", "solo"])
priorities = st.sampled_from(PRIORITIES)
sizes = st.sampled_from(["small", "small", "small", "", "large"])
workers = st.sampled_from(["w1", "w2"])
queues = st.sampled_from(list(SERVED))
yes_or_no = st.booleans()
limits = st.sampled_from([{"slow": 1}, {}, {"slow": 1, "fast": 2}, {"slow": 2, "solo": 1}])
which = st.integers(0, 23)
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


class AnyOrder(QueueSteps, RuleBasedStateMachine):
    """Every rule takes a step on both sides, compares what they answer, and then everything that Redis holds."""

    def __init__(self, stage: QueueStage) -> None:
        RuleBasedStateMachine.__init__(self)
        QueueSteps.__init__(self, stage)

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

    @step(2, function=functions, priority=priorities, size=sizes, is_past=yes_or_no, has_end=yes_or_no)
    def submit_for_later(self, function: str, priority: str, size: str, is_past: bool, has_end: bool) -> None:
        job = self._job(function, priority, size)
        job.expires = "soon" if has_end else ""
        age = FUTURE if has_end else 0.0
        terms = Terms(run_at=PAST, max_age=age) if is_past else Terms(delay=FUTURE, max_age=age)
        self._submit(job, terms, due="" if is_past else "later")

    @step(4, function=functions, priority=priorities, size=sizes)
    def submit_with_an_end(self, function: str, priority: str, size: str) -> None:
        job = self._job(function, priority, size)
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
        if not self.model.is_suspended:
            assert claimed.more or not self.model.lists[ALONE], f"nothing more was announced\n{self.story()}"

    @step(
        1,
        lambda self: len(self.model.leases) < 8,
        worker=workers,
        priority=priorities,
        is_cancelled=yes_or_no,
        dies=yes_or_no,
    )
    def run_alone_at_the_limit(self, worker: str, priority: str, is_cancelled: bool, dies: bool) -> None:
        """Some of what ran in a process that died is over its function's limit, and some is not."""
        for function in ("slow", "slow", "fast", "slow"):
            self._submit(self._job(function, priority, "small"))
        other = "w2" if worker == "w1" else "w1"
        self.claim(other, "shared", 1, {"slow": 1})
        self.claim(worker, "shared", 4, {})
        self.die(worker)
        waiting = [member.partition(":")[0] for member in self.model.lists[ALONE]]
        alive = [job_id for job_id in waiting if job_id in self.model.with_status("deferred")]
        if is_cancelled and alive:
            self._cancel_through_rq(self.model.jobs[alive[0]])
        self.claim_alone(worker, {"slow": 1})
        if dies:
            self.die(worker)
        self.claim_alone(worker, {"slow": 1})

    @step(2, lambda self: self.claims, worker=workers)
    def renew(self, worker: str) -> None:
        claims = [claim for owner, claim in self.claims if owner == worker]
        lost = self.stage.run(self.workers[worker].renew(claims))
        self.agree(f"{worker} renews {ids_of(claims)}", lost, self.model.renew(claim.entry for claim in claims))
        now = self.stage.redis.time()[0]
        self.done(f"{worker} renewed")
        leases = self.contents.scores.get("swarmfn:leases", {})
        kept = [leases[claim.entry] for claim in claims if claim.entry not in lost]
        assert all(score > now + LEASE / 2 for score in kept), self.story()

    @step(10, lambda self: self.claims, which=which, ends_well=yes_or_no, size=sizes, has_callback=yes_or_no)
    def finish(self, which: int, ends_well: bool, size: str, has_callback: bool) -> None:
        self._finish(self._claimed(which, self._is_of_an_earlier_run, has_a_past), ends_well, size, has_callback)

    @step(
        3,
        lambda self: self.claims,
        which=which,
        size=sizes,
        by_rq=yes_or_no,
        then=st.sampled_from(" cp"),
    )
    def fail_and_run_again(self, which: int, size: str, by_rq: bool, then: str) -> None:
        """While its first callback is on its way; it may be cancelled or purged before it runs."""
        worker, claim, job = self._claimed(which, lambda job: job.failures > 0, has_a_past)
        self._finish((worker, claim, job), ends_well=False, size=size, has_callback=True)
        if job.status != "failed":
            return
        if by_rq:
            self._requeue_through_rq(job)
        else:
            self._redrive(job.job_id)
        if then == "c":
            self._cancel(job.job_id)
        elif then == "p":
            self._purge(job.job_id)

    @step(
        4,
        lambda self: self._callbacks_wait(),
        worker=workers,
        which=which,
        ends_well=yes_or_no,
        is_purged=yes_or_no,
    )
    def report(self, worker: str, which: int, ends_well: bool, is_purged: bool) -> None:
        """Callbacks, also of an earlier run; one that nobody takes is offered once more by hand, or taken away."""
        self.claim(worker, CALLBACKS, 4, {})
        there = [claim.job_id for _, claim in self.claims if claim.queue == CALLBACKS]
        known = [job_id for job_id in there if job_id in self.model.jobs]
        if not known:
            return
        wanted = self._one(known, which, self._reports_now, self._is_of_an_earlier_run)
        owner, claim = next(pair for pair in self.claims if pair[1].job_id == wanted.job_id)
        self._finish((owner, claim, wanted), ends_well, size="", has_callback=False)
        if wanted.status == "failed":
            self._redrive(wanted.job_id)
            if is_purged:
                self._purge(wanted.job_id)

    @step(4, lambda self: self.claims, which=which, is_due=yes_or_no, failures=st.integers(0, 2))
    def retry_later(self, which: int, is_due: bool, failures: int) -> None:
        self._retry_later(self._claimed(which, lambda job: bool(job.reports)), is_due, failures)

    @step(2, lambda self: self._with_an_end("started"), which=which)
    def grow_old_while_it_runs(self, which: int) -> None:
        """It is not put off for longer than it is worth running."""
        job = self._one(self._with_an_end("started"), which)
        claims = [(worker, claim) for worker, claim in self.claims if claim.execution == job.execution]
        self._grow_old(job)
        if claims:
            self._retry_later((*claims[0], job), is_due=False, failures=0)

    @step(3, lambda self: self.claims, worker=workers, count=st.integers(1, 3))
    def hand_back(self, worker: str, count: int) -> None:
        claims = [claim for owner, claim in self.claims if owner == worker][:count]
        number = self.stage.run(self.workers[worker].hand_back(claims))
        expected = sum(self.model.put_back(claim.entry, False, False) for claim in reversed(claims))
        for claim in claims:
            self.model.leases.pop(claim.entry, None)
            self.claims.remove((worker, claim))
        self.agree(f"{worker} hands {ids_of(claims)} back", number, expected)
        self.done()

    @step(2, lambda self: self.model.leases, worker=workers)
    def die(self, worker: str) -> None:
        """What it claimed is put aside in any order, of which one is chosen here so that the same steps lead to
        the same again; and it will finish nothing of that."""
        entries = sorted(entry for entry, lease in self.model.leases.items() if lease.worker == worker)
        number = self.stage.hand_back_all(worker)
        expected = sum(self.model.put_back(entry, True, len(entries) == 1) for entry in entries)
        put_aside, waiting = read_contents(self.stage.redis).keys.get(ALONE, []), self.model.lists[ALONE]
        if len(entries) > 1 and sorted(put_aside[:expected]) == sorted(waiting[:expected]):
            for position, member in enumerate(waiting[:expected]):
                self.stage.redis.lset(ALONE, position, member)
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

    @step(2, lambda self: self._with_an_end(), which=which)
    def grow_old(self, which: int) -> None:
        self._grow_old(self._one(self._with_an_end(), which))

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
        job = self._one(self._all(), which, self._is_easily_miscounted, lambda job: job.status == "deferred")
        self._cancel(job.job_id)

    @step(4, lambda self: self.model.jobs, which=which)
    def redrive(self, which: int) -> None:
        failed = self.model.with_status("failed") or self._all()
        job_id = self._one(failed, which, self._is_told, self._reports_now, has_a_past).job_id
        self._redrive(job_id, job_id)

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
        job = self._one(self._all(), which, self._is_easily_miscounted, self._reports_now, self._is_of_an_earlier_run)
        self._purge(job.job_id, status)

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

    @step(1, function=functions, priority=priorities)
    def let_go(self, function: str, priority: str) -> None:
        self._let_go(function, priority_queue(queue_of(function), priority))

    @step(4, are_there("queued", "scheduled", "deferred", "started"), which=which, then=st.sampled_from(" pr"))
    def cancel_through_rq(self, which: int, then: str) -> None:
        """It may be purged or renewed before its worker hears of it."""
        ids = self.model.with_status("queued", "scheduled", "deferred", "started")
        job = self._one(ids, which, lambda job: job.status == "deferred", lambda job: job.status == "started")
        owners = [lease.worker for lease in self.model.leases.values() if lease.execution == job.execution]
        self._cancel_through_rq(job)
        if then == "p":
            self._purge(job.job_id)
        elif then == "r" and owners:
            self.renew(owners[0])

    @step(
        3, lambda self: self.model.held(), which=which, worker=workers, is_cancelled=yes_or_no, has_no_limit=yes_or_no
    )
    def make_room(self, which: int, worker: str, is_cancelled: bool, has_no_limit: bool) -> None:
        """For calls that are over their function's limit, of which more come; one of them may be cancelled by RQ."""
        held = self.model.held()
        function, queue = held[which % len(held)]
        for _ in range(2):
            self._submit(Job(f"c{next(self.number)}", function, queue))
        self.claim(worker, base_of(queue), 1, {function: 1})
        ids = self.model.lists[f"swarmfn:held:{function}:{queue}"]
        alive = [job_id for job_id in ids if job_id in self.model.with_status("deferred")]
        if is_cancelled and alive:
            self._cancel_through_rq(self.model.jobs[alive[0]])
        if has_no_limit:
            self._let_go(function, queue)
        else:
            self.claim(worker, base_of(queue), 3, {function: 4})

    @step(4, are_there("failed"), which=which)
    def requeue_through_rq(self, which: int) -> None:
        self._requeue_through_rq(self._one(self.model.with_status("failed"), which, self._is_told, has_a_past))


_ORDINARY_SEEDS = {"redis": 2, "valkey": 3}


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
    is_long = request.node.get_closest_marker("long")
    return random.randrange(2**32) if is_long else _ORDINARY_SEEDS[request.node.callspec.params["queue_server"]]


def test_any_order_of_steps_leads_where_the_model_says(queue_server: RedisServer, number: int) -> None:
    run(queue_server, 17, 50, number)


@pytest.mark.long
def test_many_orders_of_many_steps_too(queue_server: RedisServer, number: int) -> None:
    run(queue_server, 200, 80, number)
