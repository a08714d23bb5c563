"""The commands behind deploy_extended.py: arguments to an engine, and what it comes to as words and an exit code."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from types import FrameType

from stack.arguments import parse
from stack.closing_words import closing_words
from stack.embedded.records import runs_locally
from stack.engine import Stack
from stack.engines import Engines
from stack.errors import StackError
from stack.examples import failure_lines
from stack.options import (
    CommandLine,
    DownOptions,
    LogsOptions,
    PrepareOptions,
    StatusOptions,
    UpOptions,
)
from stack.posture import warning_lines
from stack.program import COMMAND, ROOT
from stack.state import StateDirectory
from swarmfn.wire.visible import visible_lines

INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Runs one command; its exit code. SIGTERM is an interruption like Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupt)
    line = parse(arguments)
    try:
        with closing(_stack(line)) as stack:
            return _run(stack, line)
    except StackError as exc:
        say(f"{line.command} failed: {exc}" if exc.exit_code == 1 else str(exc))
        return exc.exit_code
    except KeyboardInterrupt:
        if line.command in ("up", "down"):
            say("interrupted; the next up or down goes on from here")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(stack: Stack, line: CommandLine) -> int:
    match line.options:
        case UpOptions() as options:
            return up(stack, options, StateDirectory(line.target.state_dir))
        case PrepareOptions() as options:
            return prepare(stack, options)
        case DownOptions() as options:
            return down(stack, options)
        case StatusOptions() as options:
            return status(stack, options)
        case LogsOptions() as options:
            return logs(stack, options)


def up(stack: Stack, options: UpOptions, state: StateDirectory) -> int:
    """Starts or changes the stack, then its examples; 1 when one of those does not serve as described."""
    outcome = stack.up(options)
    if not outcome.has_changed and not outcome.problems:
        print("nothing to do: everything runs as described\n")
    words = closing_words(outcome.url, outcome.management_url, state.credentials, options.has_examples, COMMAND)
    print(words, end="", flush=True)
    for line in warning_lines(outcome.warnings):
        say(line)
    if outcome.problems:
        say(f"up failed: {failure_lines(outcome.problems)}")
    return 1 if outcome.problems else 0


def prepare(stack: Stack, options: PrepareOptions) -> int:
    """Makes what `docker stack deploy` needs."""
    print(stack.prepare(options))
    return 0


def down(stack: Stack, options: DownOptions) -> int:
    """Stops the stack, and removes what it kept when asked to."""
    print(stack.down(options.must_purge))
    return 0


def status(stack: Stack, options: StatusOptions) -> int:
    """Shows the stack; 0 when it is healthy, else 1."""
    found = stack.status()
    print(json.dumps(found.to_json(), indent=2) if options.is_json else found.rendered())
    return 0 if found.is_healthy else 1


def logs(stack: Stack, options: LogsOptions) -> int:
    """Shows logs, and goes on when asked to."""

    def write(line: str) -> None:
        print(line, flush=True)

    stack.logs(options, write)
    return 0


def _stack(line: CommandLine) -> Stack:
    state = StateDirectory(line.target.state_dir)
    engines = Engines(state, ROOT, os.environ, lambda: runs_locally(state), say)
    changes = isinstance(line.options, UpOptions | PrepareOptions)
    must_init = isinstance(line.options, UpOptions | PrepareOptions) and line.options.deploy.must_init
    return engines.choose(line.target.engine, line.target.stack, must_init, not changes)


def say(line: str) -> None:
    """One line of progress or trouble; the result of a command goes to standard output instead."""
    print(visible_lines(line), file=sys.stderr, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
