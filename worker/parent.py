"""What a process of the worker does about the process that started it."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Mapping

PARENT_VARIABLE = "worker_parent"
"""Set for a worker process by who starts it: its own process id."""

STOP = frozenset({signal.SIGTERM, signal.SIGINT})
WATCHED = STOP | {signal.SIGCHLD}
"""What a supervisor blocks and waits for. Its children inherit that."""

_PR_SET_PDEATHSIG = 1


def end_with_parent(environment: Mapping[str, str]) -> bool:
    """From now on this process gets SIGTERM when the one that started it is gone, also by SIGKILL (prctl(2)), and none
    of the signals that a supervisor blocks is blocked here. False when that process is gone already.

    The process does this for itself, first of all: code that runs between fork and exec (`preexec_fn`) may hang for
    ever where the parent has threads, as it has while it hands back calls.
    """
    parent = environment.get(PARENT_VARIABLE)
    if parent is None:
        return True
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
    # After the request: who died before it is not noticed by the kernel, but by the id of another parent.
    return str(os.getppid()) == parent
