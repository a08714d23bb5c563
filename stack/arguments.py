"""The command line: what it accepts and what --help teaches."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from stack.options import (
    CommandLine,
    DeployOptions,
    DownOptions,
    LogsOptions,
    Options,
    PrepareOptions,
    StatusOptions,
    Target,
    UpOptions,
)
from stack.program import COMMAND, state_directory
from swarmfn import __version__

COMMANDS = ("up", "down", "status", "logs", "prepare")

_DESCRIPTION = """\
Starts, changes, shows and stops swarmfn: functions behind HTTP, called synchronously or from a queue. It runs on Docker
Swarm where a Docker Engine answers, else as processes on this machine.

commands:
  up       start the stack, or change only what differs; deploy the example functions (this is the default)
  down     stop everything; functions, secrets and queued calls stay for the next up
  status   show services and functions
  logs     show what a service or a function wrote
  prepare  on a Swarm: make the secrets and images, for `docker stack deploy -c docker-compose.swarm.yml`
"""

_EXAMPLES = (
    ("", "", "start everything on http://127.0.0.1:8080"),
    ("", "up --port 9000", "the same on another port; later runs remember it"),
    ("", "up --init-swarm", "on Docker, which becomes a swarm of this one machine"),
    ("", "status", "what runs, since when, and what is wrong"),
    ("", "logs gateway -f", "follow the gateway's log"),
    ("", "logs markdown", "the output of a function"),
    ("", "down", "stop; everything is kept"),
    ("", "down --purge", "stop and delete functions, credentials and queued calls"),
    ("exec_timeout=5m ", "", "change a setting (docs/reference/settings.md lists them)"),
)
"""What comes before the program's name, what after it, and what it does."""

_EXIT_CODES = """\
exit codes:
  0 ok   1 failed   2 wrong usage   3 the chosen engine cannot be used   130 interrupted
"""


def parse(arguments: Sequence[str]) -> CommandLine:
    """The parsed arguments; `up` where no command is named. Exits with 2, or 0 after --help."""
    found = _parsed(arguments)
    return CommandLine(found.command, Target(found.state_dir, found.engine, found.stack), _options(found))


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    words = list(arguments)
    is_named = bool(words) and words[0] in (*COMMANDS, "-h", "--help", "--version")
    parser = _parser()
    found, unknown = parser.parse_known_args(words if is_named else ["up", *words])
    late = next((word for word in unknown if word in COMMANDS and not is_named), None)
    if late:
        parser.error(f"the command comes before its options: {COMMAND} {late} ...")
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return found


def _options(found: argparse.Namespace) -> Options:
    """What argparse found, as the record of its command."""
    if found.command == "up":
        return UpOptions(_deploy(found), found.port, found.management_port, found.listen, not found.no_examples)
    if found.command == "prepare":
        return PrepareOptions(_deploy(found), found.with_registry_auth)
    if found.command == "down":
        return DownOptions(found.purge)
    if found.command == "status":
        return StatusOptions(found.json)
    return LogsOptions(found.service, found.lines, found.follow)


def _deploy(found: argparse.Namespace) -> DeployOptions:
    return DeployOptions(tuple(found.files), found.image, found.registry, found.pin, found.init_swarm)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        usage=f"{COMMAND} [up | down | status | logs | prepare] [options]",
        description=_DESCRIPTION,
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"swarmfn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="", help=argparse.SUPPRESS, prog=COMMAND)
    common = _common()
    _add_up(commands.add_parser("up", parents=[common], help="start or change", description=_UP))
    down = commands.add_parser("down", parents=[common], help="stop", description=_DOWN)
    down.add_argument("--purge", action="store_true", help="also delete functions, credentials, queued calls and logs")
    status = commands.add_parser("status", parents=[common], help="show", description=_STATUS)
    status.add_argument("--json", action="store_true", help="print one JSON object")
    _add_logs(commands.add_parser("logs", parents=[common], help="show logs", description=_LOGS))
    prepare = commands.add_parser("prepare", parents=[common], help="make secrets and images", description=_PREPARE)
    _add_images(prepare)
    prepare.add_argument(
        "--with-registry-auth",
        action="store_true",
        help="have Docker's command give the nodes your logins; without it, only where an image's registry has one",
    )
    return parser


_UP = """Starts what is missing, replaces what differs from docker-compose.swarm.yml, the settings or the code, waits
until everything is ready, and deploys the examples. Run again, it says "nothing to do" when nothing differs."""
_DOWN = """Stops the workers, which finish what they are running, then the gateway, the functions and Redis. What was
deployed or queued is there again after the next up."""
_STATUS = """Shows every service and function. Ends with 0 when all services are ready, else with 1."""
_PREPARE = """Makes the secrets and images that docker-compose.swarm.yml names, and says how to deploy it with Docker's
own command."""
_LOGS = """Shows the last lines that a service wrote; without a name, those of every service."""


def _epilog() -> str:
    commands = [f"{before}{COMMAND} {after}".strip() for before, after, _ in _EXAMPLES]
    width = max(map(len, commands)) + 4
    lines = [f"  {command:{width}}{what}" for command, (_, _, what) in zip(commands, _EXAMPLES, strict=True)]
    return "\n".join(["examples:", *lines, "", _EXIT_CODES, f"Every command has its own help: {COMMAND} up --help"])


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--state-dir",
        type=Path,
        default=state_directory(),
        metavar="DIR",
        help="where functions, credentials, queued calls and logs are kept (default: %(default)s)",
    )
    common.add_argument(
        "--engine",
        choices=("auto", "swarm", "local"),
        default="auto",
        help="where to run: a Docker Swarm, or processes on this machine (default: auto, the one that is available)",
    )
    common.add_argument(
        "--stack",
        type=_stack_name,
        metavar="NAME",
        help="on a Swarm: what the names of its services begin with (default: swarmfn, or that of the last up)",
    )
    return common


def _add_up(up: argparse.ArgumentParser) -> None:
    up.add_argument("--port", type=_port, help="the gateway's port (default: 8080, or the one of the last up)")
    up.add_argument(
        "--management-port",
        type=_port_or_none,
        metavar="PORT",
        help="serve the management API and the pages there, and only calls on the other port; remembered, 0 undoes it",
    )
    up.add_argument(
        "--listen",
        metavar="ADDRESS",
        help="the gateway's address (default: 127.0.0.1, this machine only, or that of the last up; "
        "0.0.0.0 for every network this machine is in)",
    )
    _add_images(up)
    up.add_argument("--no-examples", action="store_true", help="do not deploy the example functions")


def _add_images(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-f",
        "--file",
        dest="files",
        action="append",
        type=_file,
        default=[],
        metavar="FILE",
        help="a compose file instead of docker-compose.swarm.yml; each further one is merged into those before it; "
        "remembered, -f docker-compose.swarm.yml alone undoes it",
    )
    command.add_argument("--init-swarm", action="store_true", help="make the Docker Engine a swarm if it is not in one")
    command.add_argument(
        "--image", metavar="IMAGE", help="on a Swarm: the image of gateway and worker (default: built from this code)"
    )
    command.add_argument(
        "--registry",
        metavar="HOST[/PATH]",
        help='on several nodes: push the images there, for all nodes to pull; remembered, "" forgets it',
    )
    command.add_argument(
        "--pin",
        action=argparse.BooleanOptionalAction,
        help="on several nodes without a registry: run everything on this node; remembered",
    )


def _add_logs(logs: argparse.ArgumentParser) -> None:
    logs.add_argument("service", nargs="?", metavar="SERVICE", help="gateway, worker, redis, supervisor or a function")
    logs.add_argument("-f", "--follow", action="store_true", help="keep showing new lines until interrupted")
    logs.add_argument("-n", "--lines", type=_count, default=50, metavar="N", help="lines to begin with (default: 50)")


def _file(text: str) -> Path:
    return Path(text).absolute()


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {text!r}")
    return int(text)


def _port_or_none(text: str) -> int:
    return 0 if text == "0" else _port(text)


def _stack_name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", text):
        raise argparse.ArgumentTypeError(f"expected small letters, digits and dashes, at most 31, got {text!r}")
    return text


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a number of lines, got {text!r}")
    return int(text)
