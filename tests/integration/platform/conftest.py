"""What a user sees on one engine must be seen on the other."""

from __future__ import annotations

import pytest

from tests.support.platform import Platform


@pytest.fixture(params=["platform", "swarm_platform"], ids=["local", "swarm"])
def any_platform(request: pytest.FixtureRequest) -> Platform:
    """The running platform, once as processes of this machine and once on a Swarm."""
    platform: Platform = request.getfixturevalue(request.param)
    return platform
