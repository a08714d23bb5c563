"""The provider contract's engines: each test runs once on every one of them.

A test gets `engine`, opens nothing itself, and describes functions by what they do; how such a function is made for an
engine is the engine's business. A new engine is one more class here, and one more entry in ENGINES.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from swarmfn.provider import Provider
from swarmfn.wire.functions import FunctionSpec
from tests.contract.provider.local_engine import LocalEngine

ENGINES = {"local": LocalEngine}


class Engine(Protocol):
    """A place where functions run, with a provider for it."""

    provider: Provider

    def reopen(self) -> Provider:
        """Closes the provider and opens another for the same functions."""

    def destroy(self) -> None:
        """Removes everything."""

    def echo(self, name: str) -> FunctionSpec:
        """A function that answers with the body it gets."""

    def answering(self, name: str, text: str) -> FunctionSpec:
        """A function that answers `text`."""

    def sleeping(self, name: str) -> FunctionSpec:
        """A function that sleeps for the seconds in the body, then answers `awake`."""

    def identifying(self, name: str) -> FunctionSpec:
        """A function that answers the same for as long as its replica lives, and something else in every other."""

    def crashing(self, name: str) -> FunctionSpec:
        """A function that ends at start, with `crashed on purpose` as its last output."""

    def kill_replica(self, name: str) -> None:
        """Kills one replica of the function, as the kernel would when memory is short."""


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    engine = ENGINES[request.param](tmp_path)
    yield engine
    engine.destroy()


@pytest.fixture
def provider(engine: Engine) -> Provider:
    return engine.provider
