"""One running platform for all tests that only use it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.platform import Platform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The embedded platform with the example functions, as `up` leaves it."""
    platform = Platform(tmp_path_factory.mktemp("platform") / "state")
    try:
        platform.up()
        yield platform
    finally:
        platform.purge()
