"""The commands behind deploy_extended.py."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from stack.arguments import parse
from stack.closing_words import closing_words
from stack.credentials import make_credentials
from stack.embedded.engine import Choice, EmbeddedEngine, checks_of
from stack.embedded.log_view import follow, log_files, show
from stack.embedded.observe import observe
from stack.embedded.problems import problem_of
from stack.embedded.services import reachable
from stack.engines import choose_engine
from stack.errors import DeployFailed, StackError
from stack.examples import deploy_examples
from stack.function_files import load_functions
from stack.gateway_client import GatewayClient
from stack.lock import exclusive
from stack.state import StateDirectory
from stack.status import render

ROOT = Path(__file__).resolve().parents[1]
INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Runs one command; its exit code. SIGTERM is an interruption like Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupt)
    options = parse(arguments, ROOT)
    command = {"up": up, "down": down, "status": status, "logs": logs}[options.command]
    try:
        return command(options)
    except StackError as exc:
        say(f"{options.command} failed: {exc}" if exc.exit_code == 1 else str(exc))
        return exc.exit_code
    except KeyboardInterrupt:
        if options.command in ("up", "down"):
            say("interrupted; the next up or down goes on from here")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def up(options: argparse.Namespace) -> int:
    """Starts or changes the stack, then its examples."""
    say(choose_engine(options.engine, os.environ))
    state = StateDirectory(options.state_dir)
    state.make()
    with exclusive(state.run / "command.lock", "up", say):
        engine = EmbeddedEngine(state, ROOT, say)
        has_changed = engine.up(Choice(port=options.port, listen_address=options.listen))
        if not options.no_examples:
            has_changed = _deploy_examples(state) or has_changed
    if not has_changed:
        print("nothing to do: everything runs as described\n")
    url = f"http://{reachable(state.settings())}"
    print(closing_words(url, state.credentials, not options.no_examples, "python3 deploy_extended.py"), end="")
    return 0


def _deploy_examples(state: StateDirectory) -> bool:
    settings, credentials = state.settings(), make_credentials(state)
    functions = load_functions(ROOT / "examples" / "stack.yml")
    with (
        GatewayClient(reachable(settings), credentials) as gateway,
        checks_of(settings, credentials).redis_client() as client,
    ):
        has_changed, problems = deploy_examples(gateway, functions, lambda name: problem_of(client, name), say)
    if problems:
        listed = "".join(f"\n  {name}: {problem}" for name, problem in problems.items())
        raise DeployFailed(
            f"the stack runs, but these examples are not healthy:{listed}\n"
            "See `python3 deploy_extended.py logs NAME`; the next up tries again."
        )
    return has_changed


def down(options: argparse.Namespace) -> int:
    """Stops the stack, and removes its state when asked to."""
    choose_engine(options.engine, os.environ)
    state = StateDirectory(options.state_dir)
    if not state.exists():
        if options.purge:
            state.purge()
        print(f"nothing to do: there is no stack in {state.root}")
        return 0
    state.make()
    with exclusive(state.run / "command.lock", "down", say):
        EmbeddedEngine(state, ROOT, say).stop()
        if options.purge:
            state.purge()
    print(
        "stopped; the state directory is removed" if options.purge else f"stopped; everything is kept in {state.root}"
    )
    return 0


def status(options: argparse.Namespace) -> int:
    """Shows the stack; 0 when it is healthy, else 1."""
    choose_engine(options.engine, os.environ)
    found = observe(StateDirectory(options.state_dir), ROOT)
    print(json.dumps(found.to_json(), indent=2) if options.json else render(found))
    return 0 if found.is_healthy else 1


def logs(options: argparse.Namespace) -> int:
    """Shows logs, and goes on when asked to."""
    choose_engine(options.engine, os.environ)
    files = log_files(StateDirectory(options.state_dir), options.service)

    def write(line: str) -> None:
        print(line, flush=True)

    show(files, options.lines, write)
    if options.follow:
        follow(files, write)
    return 0


def say(line: str) -> None:
    """One line of progress or trouble; the result of a command goes to standard output instead."""
    print(line, file=sys.stderr, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
