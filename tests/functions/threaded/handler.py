"""Meets other calls in its process: each waits until as many as the body says are there, then does what it says:
returns its process's id, crashes, stays, or waits for a file first."""

import logging
import os
import sys
import threading
import time

_lock = threading.Lock()
_here = 0
_log = logging.getLogger("mine")
_log.addHandler(logging.StreamHandler())


def handle(event, context):
    global _here
    wanted, then = event.body.decode().split()
    with _lock:
        _here += 1
    while _here < int(wanted):
        time.sleep(0.005)
    call_id = event.headers.get("X-Call-Id", "")
    print("says", end=" ")
    time.sleep(0.01)
    print(call_id)
    print("complains", call_id, file=sys.stderr)
    _log.warning("warns %s", call_id)
    if then == "crash":
        os._exit(3)
    if then == "stay":
        time.sleep(600)
    while then != "return" and not os.path.exists(then):
        time.sleep(0.005)
    return f"{os.getpid()}"
