"""The examples as files: their stack file, and their handlers loaded the way a user would."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


@pytest.fixture(scope="session")
def examples() -> Path:
    return EXAMPLES


@pytest.fixture(scope="session")
def notify() -> ModuleType:
    """The notify example's handler module."""
    spec = importlib.util.spec_from_file_location("notify_handler", EXAMPLES / "notify" / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
