"""Failures that come again at every turn of work that goes on: said when they change, counted, and told to who asks."""

from __future__ import annotations

import logging
import re

_VARIES = re.compile(r"0x[0-9a-fA-F]+|\d+")


class RepeatedFailures:
    """The present failure of one kind of work, if there is one. One thread notes, any may read.

    work: what the log and the operator are told has failed; event: the log line's, for machines.
    """

    def __init__(self, log: logging.Logger, work: str, event: str) -> None:
        self._log = log
        self._work = work
        self._event = event
        self._present = ""
        self.times = 0
        """How often in a row it has failed."""

    def note(self, exc: Exception, is_foreseen: bool = False, then: str = "") -> None:
        """It has failed: one line in the log, unless it failed in the same way the last time (except for numbers). A
        failure that was expected needs no traceback. `then` says what happens next."""
        self.times += 1
        before, self._present = self._present, _in_words(exc, is_foreseen)
        if _VARIES.sub("", before) != _VARIES.sub("", self._present):
            self._log.log(
                logging.WARNING if is_foreseen else logging.ERROR,
                "%s failed (%s); %s",
                self._work,
                self._present,
                then or "it is tried again, and logged again when that changes",
                exc_info=None if is_foreseen else exc,
                extra={"event": self._event, "work": self._work},
            )

    def over(self) -> None:
        """It has not failed this time."""
        if self.times:
            self._log.info(
                "%s no longer fails, after %d times",
                self._work,
                self.times,
                extra={"event": f"{self._event}_over", "work": self._work},
            )
            self._present, self.times = "", 0

    @property
    def sentences(self) -> list[str]:
        """For an operator: one while it fails, else none."""
        times, present = self.times, self._present
        if not present:
            return []
        return [
            f"{self._work} fails ({present}), {times} {'time' if times == 1 else 'times'} so far; the log says more"
        ]


def _in_words(exc: Exception, is_foreseen: bool) -> str:
    text = str(exc)[:300]
    return text if is_foreseen and text else f"{type(exc).__name__}: {text}"
