"""Reading how much memory there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmfn.memory import memory_for_us

MEMINFO = {"proc/meminfo": "MemTotal: 2000 kB\nMemAvailable:    1000 kB\n"}
AVAILABLE = 1000 * 1024


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, AVAILABLE),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n"}, AVAILABLE),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/memory.max": "5000\n",
                "sys/fs/cgroup/a/b/memory.max": "9000\n",
            },
            5000,
        ),
        ({"proc/self/cgroup": "0::/../docker\n", "sys/fs/cgroup/memory.max": "7000\n"}, 7000),
        (
            {
                "proc/self/cgroup": "5:cpu,memory:/x\n1:name=systemd:/y\n",
                "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "6000\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            6000,
        ),
    ],
)
def test_the_lowest_limit_counts(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    for name, text in (MEMINFO | files).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory_for_us(tmp_path) == expected


def test_without_proc_it_is_a_guess(tmp_path: Path) -> None:
    assert memory_for_us(tmp_path) > 0
