"""Raises, exits or crashes, as the body says; says which process it is when the body is empty."""

import os
import signal
import sys


def handle(req):
    if req == "raise":
        raise ValueError("a secret detail")
    if req == "exit":
        sys.exit(3)
    if req == "_exit":
        os._exit(3)
    if req == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if req == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return str(os.getpid())
