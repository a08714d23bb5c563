"""What only functions on Swarm promise."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmfn.provider.swarm import SwarmProvider
from tests.contract.provider.swarm_engine import Swarm, SwarmEngine, add_file

_DOCKERFILE = """\
FROM {base}
COPY watchdog.py /
HEALTHCHECK {healthcheck}
CMD ["python3", "-u", "/watchdog.py"]
"""


@pytest.fixture
def engine(swarm: Swarm) -> Iterator[SwarmEngine]:
    engine = SwarmEngine(swarm)
    yield engine
    engine.destroy()


@pytest.fixture
def provider(engine: SwarmEngine) -> SwarmProvider:
    return engine.provider


@pytest.fixture(scope="module")
def foreign_image(swarm: Swarm) -> str:
    """An image that keeps the contract of OpenFaaS's watchdogs, with no code of ours."""
    return _foreign(swarm, "contract/foreign:1", '--interval=400ms --retries=2 CMD ["test", "-e", "/tmp/.lock"]')


@pytest.fixture(scope="module")
def unchecked_image(swarm: Swarm) -> str:
    """The same without a HEALTHCHECK: Swarm calls it running as soon as it has started."""
    return _foreign(swarm, "contract/unchecked:1", "NONE")


def _foreign(swarm: Swarm, tag: str, healthcheck: str) -> str:
    source = Path(__file__).with_name("foreign_watchdog.py").read_text()
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        add_file(archive, "watchdog.py", source)
        add_file(archive, "Dockerfile", _DOCKERFILE.format(base=swarm.base, healthcheck=healthcheck))
    context.seek(0)
    swarm.client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True, timeout=120)
    return tag
