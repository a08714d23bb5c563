"""What the provider contract's tests need of a place where functions run."""

from __future__ import annotations

import socket
from typing import Protocol

from swarmfn.provider import Provider
from swarmfn.wire.functions import FunctionSpec

SHOW_VARIABLES = "cat /proc/self/environ"
"""Not `env`, nor anything by way of a shell: all of them, NUL after each."""


class Engine(Protocol):
    """A place where functions run, with a provider for it."""

    @property
    def provider(self) -> Provider:
        """The one that is open."""

    def reopen(self) -> Provider:
        """Closes the provider and opens another for the same functions."""

    def destroy(self) -> None:
        """Removes everything."""

    def connect(self, address: str, timeout: float) -> socket.socket:
        """A connection to `host:port` as the gateway makes it."""

    def echo(self, name: str) -> FunctionSpec:
        """A function that answers with the body it gets."""

    def answering(self, name: str, text: str) -> FunctionSpec:
        """A function that answers `text`."""

    def sleeping(self, name: str) -> FunctionSpec:
        """A function that sleeps for the seconds in the body, then answers `awake`."""

    def identifying(self, name: str) -> FunctionSpec:
        """A function that answers the same for as long as its replica lives, and something else in every other."""

    def showing_variables(self, name: str) -> FunctionSpec:
        """A function that answers with its environment, each variable with a NUL at its end."""

    def crashing(self, name: str) -> FunctionSpec:
        """A function that ends at start, with `crashed on purpose` as its last output."""

    def kill_replica(self, name: str) -> None:
        """Kills one replica of the function, as the kernel would when memory is short."""
