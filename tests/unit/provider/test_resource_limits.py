"""What the kernel is told that a replica may take."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator

import pytest

from swarmfn.provider.local.resource_limits import ResourceLimits

NO_LIMIT = resource.RLIM_INFINITY


@pytest.fixture
def process() -> Iterator[int]:
    with subprocess.Popen(["sleep", "60"]) as sleeping:
        yield sleeping.pid
        sleeping.kill()


def test_each_limit_is_imposed_on_the_process(process: int) -> None:
    resource.prlimit(process, resource.RLIMIT_AS, (NO_LIMIT, NO_LIMIT))
    ResourceLimits(processes=123, files=45, address_space=2**30).impose_on(process)
    assert resource.prlimit(process, resource.RLIMIT_NPROC) == (123, 123)
    assert resource.prlimit(process, resource.RLIMIT_NOFILE) == (45, 45)
    assert resource.prlimit(process, resource.RLIMIT_AS) == (2**30, 2**30)


def test_no_limit_is_raised(process: int) -> None:
    resource.prlimit(process, resource.RLIMIT_NOFILE, (10, 20))
    ResourceLimits(files=45).impose_on(process)
    assert resource.prlimit(process, resource.RLIMIT_NOFILE) == (20, 20)


def test_zero_leaves_a_limit_as_it_is(process: int) -> None:
    before = [resource.prlimit(process, kind) for kind in (resource.RLIMIT_NPROC, resource.RLIMIT_AS)]
    ResourceLimits(files=45).impose_on(process)
    assert [resource.prlimit(process, kind) for kind in (resource.RLIMIT_NPROC, resource.RLIMIT_AS)] == before


def test_a_process_that_has_ended_needs_none() -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    ResourceLimits(files=45).impose_on(ended.pid)
