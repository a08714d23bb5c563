"""What only functions as local processes promise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmfn.provider.local import LocalProvider
from tests.contract.provider.local_engine import LocalEngine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine(tmp_path)
    yield engine
    engine.destroy()


@pytest.fixture
def provider(engine: LocalEngine) -> LocalProvider:
    return engine.provider
