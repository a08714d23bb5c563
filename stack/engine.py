"""What the commands need of an engine; one class for each (`embedded.stack`, `swarm.stack`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from stack.options import LogsOptions, PrepareOptions, UpOptions
from stack.status import Status


@dataclass(frozen=True)
class Outcome:
    """What `up` came to: whether it changed anything, and where the gateway serves calls and management
    (http://host:port), what it warns of, and the problem of each function that does not serve as described."""

    has_changed: bool
    url: str
    management_url: str
    warnings: Sequence[str] = ()
    problems: Mapping[str, str] = field(default_factory=dict)


class Stack(Protocol):
    """The stack of one state directory on one engine. Every method may raise StackError."""

    def up(self, options: UpOptions) -> Outcome:
        """Brings everything to what the compose file and the options say; undoes what it did when that fails. A
        function that fails is not a failure of the stack."""

    def prepare(self, options: PrepareOptions) -> str:
        """Makes what Docker's own command needs to deploy the stack; words on how to go on."""

    def down(self, purge: bool) -> str:
        """Stops everything; with `purge` removes what is kept otherwise. The last line to print."""

    def status(self) -> Status:
        """What is there, without changing anything."""

    def logs(self, options: LogsOptions, write: Callable[[str], None]) -> None:
        """The last lines of a service or function, of every service without a name; then new ones as they come."""

    def close(self) -> None:
        """Ends connections."""
