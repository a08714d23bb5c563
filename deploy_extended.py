#!/usr/bin/env python3
"""Starts, changes, shows and stops swarmfn; `python3 deploy_extended.py --help` teaches the rest.

On a machine that has none of the dependencies it first makes `.venv` beside itself and goes on inside it. Only the
standard library is used until then, and this file stays readable for interpreters that are too old for the rest, so
that they can say so.
"""

import os
import sys

OLDEST = (3, 11)
ROOT = os.path.dirname(os.path.abspath(__file__))


def main() -> int:
    if sys.version_info < OLDEST:  # the whole point of this file is to say so
        found = ".".join(map(str, sys.version_info[:3]))
        print(f"swarmfn needs Python 3.11 or newer; {sys.executable} is {found}.", file=sys.stderr)
        print("Run it with a newer one, such as: python3.11 deploy_extended.py", file=sys.stderr)
        return 1
    try:
        return _run()
    except KeyboardInterrupt:
        print("\ninterrupted; the next run goes on from here", file=sys.stderr)
        return 130


def _run() -> int:
    sys.path.insert(0, ROOT)
    from stack.arguments import parse
    from stack.venv import VenvError, python_for

    parse(sys.argv[1:])  # help, and what is wrong with the arguments, needs no environment
    try:
        python = python_for(ROOT)
    except VenvError as exc:
        print(f"cannot prepare the Python environment: {exc}", file=sys.stderr)
        return 1
    if python != sys.executable:
        os.execv(python, [python, os.path.abspath(__file__), *sys.argv[1:]])  # noqa: S606, no shell is the point
    from stack.cli import main as run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
