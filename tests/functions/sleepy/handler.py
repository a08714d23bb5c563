"""Sleeps as many seconds as the body says."""

import time


def handle(req):
    time.sleep(float(req))
    return f"slept {req}\n"
