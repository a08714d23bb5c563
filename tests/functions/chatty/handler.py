"""Prints the body's lines on standard output and standard error, and from a child process."""

import subprocess
import sys


def handle(event, context):
    for line in event.body.decode().splitlines():
        print(f"out {line}")
        print(f"err {line}", file=sys.stderr)
    subprocess.run(["echo", "from a child"], check=True)
    return "said"
