"""The default of Redis's maxmemory."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.embedded.memory import LEAST, default_maxmemory

GIB = 2**30


def machine(root: Path, kilobytes: int, groups: str = "", files: dict[str, str] | None = None) -> Path:
    contents = {
        "proc/meminfo": f"MemTotal:  {kilobytes} kB\nMemFree: 1 kB\n",
        "proc/self/cgroup": groups,
        **(files or {}),
    }
    for name, text in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_it_is_a_quarter_of_the_machine_in_whole_steps(tmp_path: Path) -> None:
    assert default_maxmemory(machine(tmp_path, 8 * 2**20 + 5000)) == 2 * GIB


def test_a_tiny_machine_gets_the_least(tmp_path: Path) -> None:
    assert default_maxmemory(machine(tmp_path, 100_000)) == LEAST


@pytest.mark.parametrize(
    ("groups", "file"),
    [
        ("0::/a/b\n", "sys/fs/cgroup/a/memory.max"),
        ("0::/\n", "sys/fs/cgroup/memory.max"),
        ("3:cpu:/\n7:memory:/x\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes"),
    ],
)
def test_the_narrowest_cgroup_counts(tmp_path: Path, groups: str, file: str) -> None:
    others = {
        "sys/fs/cgroup/a/b/memory.max": "max\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2**63 - 4096}\n",
    }
    root = machine(tmp_path, 8 * 2**20, groups, {**others, file: f"{GIB}\n"})
    assert default_maxmemory(root) == GIB // 4
