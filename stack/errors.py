"""What can go wrong with the stack, each with the exit code of the command."""

from __future__ import annotations


class StackError(Exception):
    """The command failed; the message says what, why and what helps."""

    exit_code = 1


class ComposeFileError(StackError):
    """docker-compose.swarm.yml, or a value put into it, cannot be used."""


class DeployFailed(StackError):
    """A service did not become healthy."""


class Refused(StackError):
    """The gateway answered that it will not."""


class NoEngine(StackError):
    """The chosen engine is not there, or this release cannot use it."""

    exit_code = 3
