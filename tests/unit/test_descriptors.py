"""The limit of open files."""

from __future__ import annotations

import subprocess
import sys

LOOK = """
import resource
from swarmfn.wire.descriptors import allow_many_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 4096))
print(allow_many_descriptors(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_the_soft_limit_goes_as_far_as_the_hard_one() -> None:
    told = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["4096", "4096", "4096"]
