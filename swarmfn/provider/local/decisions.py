"""What to do next for one function: from what is wanted and what is there, as values, with no process in sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from swarmfn.backoff import backoff
from swarmfn.provider.starting import FIRST_WORD, START_TIMEOUT


class Phase(Enum):
    """How far a replica's life has come; it only ever moves down this list."""

    STARTING = "starting"
    READY = "ready"
    """Healthy, and in the table."""
    RETIRING = "retiring"
    """Out of the table; its watchers are being told."""
    STOPPING = "stopping"
    """Told to stop; finishes what it is running."""
    KILLED = "killed"


@dataclass(frozen=True)
class Timing:
    """How patient the provider is, in seconds. A replica gets `start_limit` to become healthy, and after
    `first_word` its status says that it is not."""

    start_limit: float = START_TIMEOUT
    start_poll: float = 0.03
    first_word: float = FIRST_WORD
    health_interval: float = 3.0
    probe_timeout: float = 5.0
    probe_failures: int = 3
    retire_pause: float = 0.3
    min_backoff: float = 0.25
    max_backoff: float = 30.0
    stable_after: float = 10.0
    """A replica that was healthy this long proves that earlier failures are over."""

    def backoff(self, failures: int) -> float:
        """The wait before the next start, after this many failures in a row."""
        return backoff(failures, self.min_backoff, self.max_backoff)


@dataclass(frozen=True)
class DesiredReplicas:
    """`can_start` is false while something that replicas need is being prepared."""

    replicas: int
    revision: str
    can_start: bool = True


NO_REPLICAS = DesiredReplicas(0, "")


@dataclass(frozen=True)
class Present:
    """One replica as it is. `since`: when it entered its phase; `drain`: seconds it may take to stop."""

    id: str
    revision: str
    phase: Phase
    since: float
    drain: float = 0.0
    failed_probes: int = 0


@dataclass(frozen=True)
class Trouble:
    """Replicas of the wanted revision that failed, one after the other."""

    failures: int = 0
    last: float = 0.0
    reason: str = ""


NO_TROUBLE = Trouble()


@dataclass(frozen=True)
class Start:
    count: int


@dataclass(frozen=True)
class Retire:
    """Take it out of the table; `is_failure` if it is no longer healthy."""

    id: str
    is_failure: bool = False


@dataclass(frozen=True)
class Terminate:
    id: str


@dataclass(frozen=True)
class Kill:
    """`is_failure` if it never became healthy."""

    id: str
    is_failure: bool = False


Action = Start | Retire | Terminate | Kill


def decide(
    desired: DesiredReplicas, present: Sequence[Present], trouble: Trouble, now: float, timing: Timing
) -> tuple[Action, ...]:
    """The actions for one function now; none when there is nothing to do until something changes or time passes."""
    hopeless = [r for r in present if r.phase is Phase.STARTING and now - r.since >= timing.start_limit]
    sick = [r for r in present if r.phase is Phase.READY and r.failed_probes >= timing.probe_failures]
    alive = [r for r in present if r.phase in (Phase.STARTING, Phase.READY) and r not in hopeless and r not in sick]
    current = [r for r in alive if r.revision == desired.revision]
    old = [r for r in alive if r.revision != desired.revision]
    return (
        *(Kill(r.id, is_failure=True) for r in hopeless),
        *(Retire(r.id, is_failure=True) for r in sick),
        *_starts(desired, current, trouble, now, timing),
        *_without_surplus(desired, current),
        *_without_old(desired, current, old),
        *_stops(present, now, timing),
    )


def next_deadline(present: Sequence[Present], trouble: Trouble, now: float, timing: Timing) -> float | None:
    """The earliest time after `now` at which `decide` could answer differently though nothing else has changed."""
    times = [r.since + _patience(r, timing) for r in present if r.phase is not Phase.KILLED]
    if trouble.failures:
        times.append(trouble.last + timing.backoff(trouble.failures))
    return min((time for time in times if time > now), default=None)


def _patience(replica: Present, timing: Timing) -> float:
    limits = {
        Phase.STARTING: timing.start_limit,
        Phase.READY: timing.stable_after,
        Phase.RETIRING: timing.retire_pause,
        Phase.STOPPING: replica.drain,
    }
    return limits[replica.phase]


def _starts(
    desired: DesiredReplicas, current: list[Present], trouble: Trouble, now: float, timing: Timing
) -> tuple[Action, ...]:
    missing = desired.replicas - len(current)
    if missing <= 0 or not desired.can_start:
        return ()
    if not trouble.failures:
        return (Start(missing),)
    # After a failure one replica at a time shows whether starting works again.
    is_trying = any(r.phase is Phase.STARTING for r in current)
    if is_trying or now < trouble.last + timing.backoff(trouble.failures):
        return ()
    return (Start(1),)


def _without_surplus(desired: DesiredReplicas, current: list[Present]) -> tuple[Action, ...]:
    surplus = max(0, len(current) - desired.replicas)
    # The oldest healthy ones stay: they have proved themselves, and their caches are warm.
    newest_first = sorted(current, key=lambda r: (r.phase is Phase.READY, -r.since))
    return tuple(_end(r) for r in newest_first[:surplus])


def _without_old(desired: DesiredReplicas, current: list[Present], old: list[Present]) -> tuple[Action, ...]:
    """Ends replicas of earlier revisions, but keeps as many healthy ones as new ones are still missing."""
    ready = [r for r in old if r.phase is Phase.READY]
    unfinished = [r for r in old if r.phase is Phase.STARTING]
    needed = max(0, desired.replicas - sum(r.phase is Phase.READY for r in current))
    return tuple(_end(r) for r in (*unfinished, *ready[needed:]))


def _end(replica: Present) -> Action:
    # One that was never in the table has no calls to finish and nobody to tell.
    return Retire(replica.id) if replica.phase is Phase.READY else Kill(replica.id)


def _stops(present: Sequence[Present], now: float, timing: Timing) -> tuple[Action, ...]:
    retired = [r for r in present if r.phase is Phase.RETIRING and now - r.since >= timing.retire_pause]
    overdue = [r for r in present if r.phase is Phase.STOPPING and now - r.since >= r.drain]
    return (*(Terminate(r.id) for r in retired), *(Kill(r.id) for r in overdue))
