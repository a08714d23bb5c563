"""Steps of the queue, each taken on both sides: in Redis and in the model of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from swarmfn.jobs.calls_by_state import CallsByState, Selection
from swarmfn.jobs.claim import Claim
from swarmfn.jobs.completions import Completion
from swarmfn.jobs.terms import Replay, Terms
from swarmfn.wire.errors import KeyReused
from swarmfn.wire.priorities import priority_queue
from tests.support.modelled_queue import ModelledQueue
from tests.support.queue_model import FINAL, Job
from tests.support.queue_stage import CALLBACKS, QueueStage, delivery, failure, invocation, postponement, success

SERVED = {"shared": ["fast", "slow"], "solo": ["solo"], CALLBACKS: []}
"""Queues, and the functions whose calls are on each."""

PAST, FUTURE, LEASE = 1.0, 3600.0, 30.0
BODIES = {"": b"", "small": b"small", "large": b"L" * 65_537}
DEEP = 4


class QueueSteps(ModelledQueue):
    """What steps in any order are made of: a step on both sides, whose answers are compared, or a choice among what
    there is. claims: those that may still be finished, each with the worker whose it is."""

    def __init__(self, stage: QueueStage) -> None:
        super().__init__(stage)
        self.calls = CallsByState(stage.redis)
        self.workers = {name: stage.consumer(name, LEASE) for name in ("w1", "w2")}
        self.claims: list[tuple[str, Claim]] = []
        self.number = itertools.count(1)

    def _finish(self, claimed: tuple[str, Claim, Job], ends_well: bool, size: str, has_callback: bool) -> None:
        worker, claim, job = claimed
        completion, sent, note = self._completion(job, claim, ends_well, size, has_callback)
        done = self.stage.finish(claim, completion, by=self.workers[worker])
        expected = self.model.finish(claim.entry, completion.counter, completion.state, size, sent, note)
        self.claims.remove((worker, claim))
        self.agree(f"{worker} finishes {claim.entry} as {completion.state}", done, expected)
        self.done()

    def _retry_later(self, claimed: tuple[str, Claim, Job], is_due: bool, failures: int) -> None:
        worker, claim, job = claimed
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

    def _grow_old(self, job: Job) -> None:
        """It is not worth running any more."""
        job.expires = "late"
        self.stage.redis.hset(f"rq:job:{job.job_id}", "expires", str(PAST))
        self.done(f"{job.job_id} grows old")

    def _let_go(self, function: str, queue: str) -> None:
        self.stage.run(self.stage.worker.let_go(function, queue, at_once=2))
        self.model.let_go(function, queue)
        self.done(f"let go of {function} on {queue}")

    def _requeue_through_rq(self, job: Job) -> None:
        self.stage.job(job.job_id).requeue()
        self.model.requeue_through_rq(job.job_id)
        self.done(f"RQ queues {job.job_id} again")

    def _job(self, function: str, priority: str, size: str) -> Job:
        return Job(f"c{next(self.number)}", function, priority_queue(queue_of(function), priority), body=size)

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

    def _is_easily_miscounted(self, job: Job) -> bool:
        """Queued again by hand, or cancelled by RQ while it runs."""
        return bool(job.state and job.status not in FINAL) or (job.status == "canceled" and bool(job.execution))

    def _is_told(self, job: Job) -> bool:
        """Its callback is still on its way: it has to speak for this run only."""
        sent = self.model.jobs.get(job.delivery)
        return sent is not None and sent.status not in FINAL

    def _reports_now(self, job: Job) -> bool:
        """It is the callback of its call's last run."""
        parent = self.model.jobs.get(job.reports)
        return parent is not None and parent.delivery == job.job_id

    def _is_of_an_earlier_run(self, job: Job) -> bool:
        """It is a callback whose call has run again since."""
        parent = self.model.jobs.get(job.reports)
        return parent is not None and parent.delivery != job.job_id

    def _callbacks_wait(self) -> bool:
        return bool(self.model.lists[f"rq:queue:{CALLBACKS}"]) and len(self.model.leases) < 12

    def _with_an_end(self, *statuses: str) -> list[str]:
        """Those that may yet come to be not worth running any more."""
        ids = self.model.with_status(*statuses or ("queued", "scheduled", "deferred", "started"))
        return [job_id for job_id in ids if self.model.jobs[job_id].expires == "soon"]

    def _one(self, ids: Sequence[str], which: int, *preferred: Callable[[Job], bool]) -> Job:
        """Of all of them or, as often, of those that one of `preferred` is true of, if there are any."""
        jobs = [self.model.jobs[job_id] for job_id in ids]
        turn, which = which % (len(preferred) + 1), which // (len(preferred) + 1)
        wanted = list(filter(preferred[turn - 1], jobs)) if turn else jobs
        return (wanted or jobs)[which % len(wanted or jobs)]

    def _claimed(self, which: int, *preferred: Callable[[Job], bool]) -> tuple[str, Claim, Job]:
        """A claim, whose it is, and its job."""
        there = sorted({claim.job_id for _, claim in self.claims} & self.model.jobs.keys())
        wanted = {self._one(there, which, *preferred).job_id} if there else set()
        claims = [pair for pair in self.claims if pair[1].job_id in wanted] if which else []
        worker, claim = (claims or self.claims)[which % len(claims or self.claims)]
        return worker, claim, self.model.jobs.get(claim.job_id, Job(claim.job_id, "gone", claim.queue))

    def _cancel(self, job_id: str) -> None:
        self.agree(f"cancel {job_id}", self.stage.cancel(job_id), self.model.cancel(job_id))
        self.done()

    def _redrive(self, *job_ids: str) -> None:
        found = self.calls.redrive(job_ids)
        self.agree(f"redrive {', '.join(job_ids)}", found, list(map(self.model.redrive, job_ids)))
        self.done()

    def _purge(self, job_id: str, status: str = "") -> None:
        replies = self.calls.purge([job_id, "none"], status)
        self.agree(f"purge {job_id}", replies, [self.model.purge(job_id, status), "unknown"])
        self.done()

    def _cancel_through_rq(self, job: Job) -> None:
        self.stage.job(job.job_id).cancel()
        self.model.cancel_through_rq(job.job_id)
        self.done(f"RQ cancels {job.job_id}")

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


def has_a_past(job: Job) -> bool:
    """There is more than usual to forget when it is run again."""
    return bool(job.failures or job.interruptions or job.expires)


def queue_of(function: str) -> str:
    return next(queue for queue, names in SERVED.items() if function in names)


def ids_of(claims: Iterable[Claim]) -> list[str]:
    return [claim.job_id for claim in claims]


def _is_selected(job: Job, selection: Selection) -> bool:
    if selection.function and job.function != selection.function:
        return False
    if selection.state == "undelivered":
        return bool(job.reports) and job.status == "failed"
    if job.reports:
        return False
    if job.status == "canceled" and job.state != "cancelled":
        return False  # what RQ cancels is not in our index of what was cancelled
    states = {"queued": "queued", "deferred": "queued", "started": "running", "canceled": "cancelled"}
    state = states.get(job.status, job.state)
    if job.status == "scheduled":
        state = "retrying" if job.has_started else "scheduled"
    return state == selection.state
