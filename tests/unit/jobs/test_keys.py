"""The names of keys are in one place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from swarmfn.jobs import keys
from tests.support.processes import REPOSITORY

MODULES = [path for room in ("swarmfn/jobs", "worker") for path in sorted((REPOSITORY / room).rglob("*.py"))]
SPELT_OUT = re.compile(r"""["'](?:rq|swarmfn):[a-z:-]*""")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_other_module_spells_a_key_out(path: Path) -> None:
    assert SPELT_OUT.findall(path.read_text()) == [] or path.name == "keys.py"


def test_each_key_is_named_once() -> None:
    values = [value for name, value in vars(keys).items() if name.isupper()]
    assert len(values) == len(set(values)) > 30
