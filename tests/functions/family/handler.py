"""Writes its process id and a grandchild's to the file the body names; then both hang and ignore SIGTERM."""

import os
import signal
import subprocess

HANG = "trap '' TERM; while :; do sleep 1; done"


def handle(req):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    grandchild = subprocess.Popen(["sh", "-c", HANG])
    with open(req, "w") as file:
        file.write(f"{os.getpid()} {grandchild.pid}\n")
    while True:
        pass
