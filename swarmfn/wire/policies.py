"""What a function asks of its asynchronous calls: when they are tried again, and how many may run at once.

Those of `retry` and `concurrency` are OpenFaaS's annotations, those of `queue` ours. A value that cannot be used falls
back to its default, and a warning says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from swarmfn.wire.durations import parse_duration

ATTEMPTS = "com.openfaas.retry.attempts"
CODES = "com.openfaas.retry.codes"
MIN_WAIT = "com.openfaas.retry.min_wait"
MAX_WAIT = "com.openfaas.retry.max_wait"
JITTER = "com.openfaas.retry.jitter"
CONCURRENCY = "com.openfaas.async.concurrency"
MAX_DEPTH = "com.openfaas.queue.max_depth"
MAX_QUEUE_AGE = "com.openfaas.queue.max_age"
_RETRY = (ATTEMPTS, CODES, MIN_WAIT, MAX_WAIT, JITTER)
POLICY_ANNOTATIONS = (*_RETRY, CONCURRENCY, MAX_DEPTH, MAX_QUEUE_AGE)

JITTERS = ("exponential", "full", "equal")
DEFAULT_CODES = (408, 429, 500, 502, 504)
_MOST_ATTEMPTS = 1000
_MOST_AT_ONCE = 1_000_000
_DEEPEST = 9_999_999
_LONGEST_WAIT = 30 * 86400.0
_GATEWAYS = "the gateway's own limit"
_CODE = re.compile(r"[1-5][0-9][0-9]")
_NUMBER = re.compile(r"[0-9]{1,7}")

Value = TypeVar("Value")
Default = TypeVar("Default")


@dataclass(frozen=True)
class RetryPolicy:
    """When a function's own answer is not the end of a call.

    attempts: how often it is tried in total; codes: answers that are tried again; waits in seconds, doubling from
    min_wait up to max_wait; jitter: how much of a wait is left to chance (none, all of it, or half).
    """

    attempts: int = 10
    codes: tuple[int, ...] = DEFAULT_CODES
    min_wait: float = 10.0
    max_wait: float = 120.0
    jitter: str = "exponential"

    def to_json(self) -> dict[str, Any]:
        """Compact: it is stored with each call."""
        return {"n": self.attempts, "c": self.codes, "lo": self.min_wait, "hi": self.max_wait, "j": self.jitter}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> RetryPolicy:
        """Raises KeyError, TypeError or ValueError."""
        jitter = document.get("j", JITTERS[0])
        low, high = float(document["lo"]), float(document["hi"])
        if not 0 <= low <= high <= _LONGEST_WAIT:
            raise ValueError("its waits are not times")
        return cls(
            attempts=int(document["n"]),
            codes=tuple(int(code) for code in document["c"]),
            min_wait=low,
            max_wait=high,
            jitter=jitter if jitter in JITTERS else JITTERS[0],
        )


@dataclass(frozen=True)
class Policy:
    """retry: None when no annotation asks for it; concurrency: how many asynchronous calls of the function run at a
    time, whatever the number of workers, 0 for no limit; warnings: a sentence for each value that cannot be used (in a
    FunctionSpec's also for each name that is misspelt); max_depth, max_queue_age: how many calls may wait in its queue,
    and how many seconds the first of them, before no more are accepted; 0 for no limit, None for the gateway's own."""

    retry: RetryPolicy | None = None
    concurrency: int = 0
    warnings: tuple[str, ...] = ()
    max_depth: int | None = None
    max_queue_age: float | None = None

    def to_json(self) -> dict[str, Any]:
        retry = self.retry.to_json() if self.retry else None
        document = {"retry": retry, "concurrency": self.concurrency, "warnings": list(self.warnings)}
        limits = {"max_depth": self.max_depth, "max_queue_age": self.max_queue_age}
        return document | {name: limit for name, limit in limits.items() if limit is not None}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Policy:
        """Raises KeyError, TypeError or ValueError."""
        retry = document.get("retry")
        return cls(
            retry=RetryPolicy.from_json(retry) if retry else None,
            concurrency=int(document.get("concurrency", 0)),
            warnings=tuple(str(warning) for warning in document.get("warnings", ())),
            max_depth=int(document["max_depth"]) if "max_depth" in document else None,
            max_queue_age=float(document["max_queue_age"]) if "max_queue_age" in document else None,
        )


NO_POLICY = Policy()


def policy_of(annotations: Mapping[str, str]) -> Policy:
    """The policy in a function's annotations. Does not raise."""
    if not annotations.keys() & set(POLICY_ANNOTATIONS):
        return NO_POLICY
    reading = _Reading(annotations)
    retry = reading.retry() if annotations.keys() & set(_RETRY) else None
    concurrency = reading.value(CONCURRENCY, _count(0, _MOST_AT_ONCE), 0)
    depth = reading.value(MAX_DEPTH, _count(0, _DEEPEST), None, _GATEWAYS)
    age = reading.value(MAX_QUEUE_AGE, _wait, None, _GATEWAYS)
    return Policy(retry, concurrency, tuple(reading.warnings), depth, age)


class _Reading:
    """Reads annotations and collects what is wrong with them."""

    def __init__(self, annotations: Mapping[str, str]) -> None:
        self._annotations = annotations
        self.warnings: list[str] = []

    def value(self, name: str, parse: Callable[[str], Value], default: Default, shown: str = "") -> Value | Default:
        text = self._annotations.get(name)
        if text is None:
            return default
        try:
            return parse(text.strip())
        except ValueError as exc:
            self.warnings.append(f"annotation {name}: {exc}; using the default, {shown or default}")
            return default

    def retry(self) -> RetryPolicy:
        plain = RetryPolicy()
        codes = ",".join(str(code) for code in plain.codes)
        low = self.value(MIN_WAIT, _wait, plain.min_wait, f"{plain.min_wait:g}s")
        high = self.value(MAX_WAIT, _wait, max(low, plain.max_wait), f"{plain.max_wait:g}s")
        if high < low:
            self.warnings.append(f"annotation {MAX_WAIT}: {high:g}s is less than the shortest wait; using {low:g}s")
        return RetryPolicy(
            attempts=self.value(ATTEMPTS, _count(1, _MOST_ATTEMPTS), plain.attempts),
            codes=self.value(CODES, _codes, plain.codes, codes),
            min_wait=low,
            max_wait=max(low, high),
            jitter=self.value(JITTER, _jitter, plain.jitter),
        )


def _count(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
            raise ValueError(f"expected a whole number from {least} to {most}, got {text!r:.50}")
        return int(text)

    return parse


def _codes(text: str) -> tuple[int, ...]:
    codes = [part.strip() for part in text.split(",")]
    if not all(_CODE.fullmatch(code) for code in codes):
        raise ValueError(f'expected status codes such as "429,502,503", got {text!r:.50}')
    return tuple(sorted({int(code) for code in codes}))


def _wait(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as exc:
        raise ValueError(str(exc)[:200]) from None
    if seconds > _LONGEST_WAIT:
        raise ValueError(f"{text!r:.50} is longer than 30 days")
    return seconds


def _jitter(text: str) -> str:
    if text not in JITTERS:
        raise ValueError(f"expected one of {', '.join(JITTERS)}, got {text!r:.50}")
    return text
