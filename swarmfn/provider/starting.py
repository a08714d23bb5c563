"""How long a replica may take to get ready, and what its status says meanwhile, wherever it runs."""

from __future__ import annotations

START_TIMEOUT = 300.0
"""Seconds, unless the setting `functions_start_timeout` or the function says otherwise: models are large."""

FIRST_WORD = 10.0
"""Seconds after which the status mentions a replica that is not ready; then whenever they have doubled, since each
change is published, and logged."""


def getting_ready(seconds: float, limit: float, first: float = FIRST_WORD) -> str:
    """What the status says about a replica that has been starting for `seconds`, "" while there is nothing to say."""
    passed = _step(seconds, first)
    return f"a replica has been getting ready for {passed:g} s, and may take {limit:g} s" if passed else ""


def next_word(seconds: float, first: float = FIRST_WORD) -> float:
    """When, in seconds since the start, there is something new to say."""
    return _step(seconds, first) * 2 or first


def _step(seconds: float, first: float) -> float:
    """The last of `first`, twice that, four times, … that has passed; 0 before."""
    step, following = 0.0, first
    while following <= seconds:
        step, following = following, following * 2
    return step
