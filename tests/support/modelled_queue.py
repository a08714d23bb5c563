"""A queue in Redis beside a model of it, compared after each step."""

from __future__ import annotations

import time
from typing import Any

from tests.support.queue_contents import Contents, read_contents
from tests.support.queue_model import Job, Model
from tests.support.queue_stage import QueueStage


class ModelledQueue:
    """Empty at first. After each step call `done`; what is wrong is an AssertionError that tells all steps so far.
    `contents` is what Redis held after the last one."""

    def __init__(self, stage: QueueStage) -> None:
        stage.redis.flushall()
        self.stage = stage
        self.model = Model()
        self.contents = Contents()
        self.steps: list[str] = []
        untyped: Any = stage.redis
        self._listener = untyped.pubsub()
        self._listener.subscribe("swarmfn:wake")

    def close(self) -> None:
        self._listener.close()

    def done(self, step: str = "") -> None:
        """Compares both sides. `step` names what was done, unless `agree` has been told."""
        if step:
            self.steps.append(step)
        before, self.contents = self.contents, read_contents(self.stage.redis)
        expected, found = self.model.view(), self.contents.keys
        wrong = [key for key in sorted({*expected, *found}) if expected.get(key) != found.get(key)]
        texts = [f"{key}: {found.get(key)} instead of {expected.get(key)}" for key in wrong]
        assert not wrong, "\n".join([*texts, self.story()])
        assert self.contents.expiring == self.model.expiring(), self.story()
        self._check_places()
        self._check_books()
        self._check_moments()
        self._check_messages(before)

    def _check_places(self) -> None:
        """Told from Redis alone: each job is where its status says, and nowhere else."""
        places = self.contents.places()
        for key, job in self.contents.keys.items():
            if key.startswith("rq:job:"):
                found = sorted(places.get(key.removeprefix("rq:job:"), []))
                assert _is_one_place(found, job["status"], job["origin"]), f"{key}: {job}: {found}\n{self.story()}"

    def _check_books(self) -> None:
        census = self.stage.ledger.census()
        found = (census.imbalance, census.pending, census.is_suspended)
        expected = (self.model.uncounted, self.model.pending(), self.model.is_suspended)
        assert found == expected, f"the books: {found} instead of {expected}\n{self.story()}"

    def _check_moments(self) -> None:
        scores, now = self.contents.scores, time.time()
        for name in ("solo", "fast", "slow"):
            counted = self.contents.running.get(name, set()) & scores.get("swarmfn:leases", {}).keys()
            assert counted == self.model.running(name), f"of {name} {counted} are counted\n{self.story()}"
        for member, due in scores.get("swarmfn:due", {}).items():
            job_id, _, queue = member.partition(":")
            job = self.model.jobs.get(job_id)
            if job and job.status == "scheduled":
                assert scores[f"rq:scheduled:{queue}"][job_id] == due, self.story()
                assert (due <= now) == job.is_due, f"{job_id} is due in {due - now} s\n{self.story()}"
                self._check_end(job, due)
        for entry, lease in self.model.leases.items():
            assert (scores["swarmfn:leases"][entry] <= now) == lease.has_lapsed, f"{entry}\n{self.story()}"
            assert scores[f"rq:wip:{lease.queue}"][lease.rq_entry] == float("inf"), self.story()

    def _check_end(self, job: Job, due: float) -> None:
        """Its age is counted from when it may run; what is put off then is not put off for longer."""
        if job.expires == "soon":
            left = self.contents.ends[job.job_id] - due
            has_run = job.attempts or job.interruptions
            assert left >= 0 if has_run else left > 1800, f"{job.job_id} ends {left} s after it is due\n{self.story()}"

    def _check_messages(self, before: Contents) -> None:
        """Workers hear when something comes into an empty queue."""
        prefix, told = "rq:queue:", self._told()
        filled = {key.removeprefix(prefix) for key in self.contents.keys if key.startswith(prefix)}
        news = {queue for queue in filled if prefix + queue not in before.keys}
        assert news <= told or self.steps[-1].startswith("RQ "), f"nobody heard about {news - told}\n{self.story()}"

    def _told(self) -> set[str]:
        """What was published by now."""
        self._listener.ping("all")
        told: set[str] = set()
        while (message := self._listener.get_message(timeout=5.0)) is not None:
            if message["type"] == "pong":
                return told
            if message["type"] == "message":
                told.add(message["data"].decode())
        raise AssertionError("Redis does not answer")

    def agree(self, step: str, found: Any, expected: Any) -> None:
        """Compares what the two sides answered to a step."""
        self.steps.append(step)
        assert found == expected, f"{found} instead of {expected}\n{self.story()}"

    def story(self) -> str:
        return "\n  ".join(["after:", *self.steps])


def _is_one_place(places: list[str], status: str, queue: str) -> bool:
    if status == "deferred":
        waits = [place for place in places if place == "swarmfn:alone" or place.startswith("swarmfn:held:")]
        return len(waits) == 1 and sorted([*waits, f"rq:deferred:{queue}"]) == places
    registry = {"queued": "queue", "started": "wip"}.get(status, status)
    if status == "canceled":
        # What RQ cancels stays in our lists, and runs until its worker hears of it.
        places = [place for place in places if place != f"rq:wip:{queue}" and not place.startswith("swarmfn:")]
    return places == [f"rq:{registry}:{queue}"]
