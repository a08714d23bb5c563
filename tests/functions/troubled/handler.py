"""The body's first line says what happens: how, and a file for process ids."""

import os
import signal
import subprocess
import time


def handle(req):
    first, _, rest = req.partition("\n")
    how, _, file = first.partition(" ")
    # Not in the main thread when there are several.
    if how == "fork":
        return rest if os.fork() else f"child of {rest}"
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if how == "echo":
        return rest
    if how == "unread":
        return "not read\n"
    if how == "exit":
        os._exit(3)
    if how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "raise":
        raise ValueError(rest)
    if how == "victim":
        write(file, os.getpid())
    if how == "family":
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        write(file, os.getpid(), child.pid)
    while how == "spin":
        pass
    return time.sleep(600)


def write(file, *pids):
    with open(f"{file}.new", "w") as new:
        print(*pids, file=new)
    os.rename(f"{file}.new", file)
