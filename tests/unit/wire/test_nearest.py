"""Names that are nearly right."""

from __future__ import annotations

import pytest

from swarmfn.wire.nearest import nearest

KNOWN = ("exec_timeout", "envVars", "labels", "limits", "memory", "name")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("exec_timeot", "exec_timeout"),
        ("EXEC_TIMEOUT", "exec_timeout"),
        ("envvars", "envVars"),
        ("env_vars", "envVars"),
        ("lables", "labels"),
        ("limit", "limits"),
        ("memroy", "memory"),
        ("namespace", ""),
        ("timeout", ""),
        ("image", ""),
        ("", ""),
    ],
)
def test_the_name_that_is_meant_is_found(name: str, expected: str) -> None:
    assert nearest(name, KNOWN) == expected
