"""The program that a command names, and how it ended."""

from __future__ import annotations

import os
import signal

from fwatchdog.children import find_program
from fwatchdog.modes import CannotStart
from fwatchdog.settings import Settings


def program_of(settings: Settings) -> str:
    """The file that the command's first word means. Raises CannotStart."""
    name = settings.command[0]
    program = find_program(name, os.environ.get("PATH", os.defpath))
    if program is None:
        raise CannotStart(f'fprocess: there is no program "{name}" that can be executed')
    return program


def ending(exit_code: int) -> str:
    """How the process ended, in Go's words, which callers of OpenFaaS functions know."""
    if exit_code >= 0:
        return f"exit status {exit_code}"
    return f"signal: {(signal.strsignal(-exit_code) or str(-exit_code)).lower()}"
