"""Functions that `up` deploys on a swarm: what happened to each is reported, whatever happens to others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.support.checkout import Checkout
from tests.support.docker_engine import DockerEngine
from tests.support.swarm_command import Command

FUNCTION = """\
ARG BASE=swarmfn/watchdog:latest
FROM ${BASE}
ENV fprocess="echo version %s"
%s
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("checkout") / "root")


@pytest.fixture(scope="module")
def command(
    docker_engine: DockerEngine, checkout: Checkout, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Command]:
    command = Command(docker_engine, tmp_path_factory.mktemp("stack"), checkout.root)
    yield command
    done = command.run("down", "--purge")
    assert done.returncode == 0, done.stderr


def answer(command: Command, name: str) -> str:
    return requests.post(f"{command.url}/function/{name}", data=b"", timeout=30).text.strip()


def test_an_image_that_cannot_be_built_is_named_and_stops_no_other(command: Command, checkout: Checkout) -> None:
    checkout.add("broken", {"Dockerfile": FUNCTION % (1, "RUN echo no such package; exit 7")})
    checkout.add("well", {"Dockerfile": FUNCTION % (1, "")})
    done = command.up_with_examples()
    assert done.returncode == 1
    assert "broken: cannot build the image swarmfn/broken:" in done.stderr
    assert "| no such package" in done.stderr
    assert "well: ready" in done.stderr
    for text in (command.url, f"{command.url}/ui/", str(command.state / "credentials")):
        assert text in done.stdout
    assert answer(command, "well") == "version 1"


def test_an_update_that_is_taken_back_is_an_error_with_the_reason(command: Command, checkout: Checkout) -> None:
    checkout.add("broken", {"Dockerfile": FUNCTION % (2, "")})
    checkout.add("well", {"Dockerfile": FUNCTION % (2, "")})
    first = command.up_with_examples()
    assert first.returncode == 0, first.stderr
    assert (answer(command, "broken"), answer(command, "well")) == ("version 2", "version 2")

    checkout.add("well", {"Dockerfile": FUNCTION % (3, 'CMD ["sh", "-c", "echo no luck today; exit 1"]')})
    done = command.up_with_examples()
    assert done.returncode == 1
    assert "well: updating" in done.stderr
    assert "well: ready" not in done.stderr
    assert "well: the last update failed and was taken back: exited with status 1: no luck today" in done.stderr
    assert answer(command, "well") == "version 2"
    assert command.up_with_examples().returncode == 1

    checkout.add("well", {"Dockerfile": FUNCTION % (4, "")})
    fixed = command.up_with_examples()
    assert fixed.returncode == 0, fixed.stderr
    assert answer(command, "well") == "version 4"
    assert command.up_with_examples().stdout.startswith("nothing to do")
