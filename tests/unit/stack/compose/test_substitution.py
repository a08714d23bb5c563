"""`${NAME}` in the compose file."""

from __future__ import annotations

import pytest

from stack.compose.substitution import substitute


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "one"),
        ("${A:-two}", "one"),
        ("${MISSING:-two}", "two"),
        ("${EMPTY:-two}", "two"),
        ("${MISSING}", ""),
        ("$$A", "$A"),
        ("$${A}", "${A}"),
        ("x-${A}-${MISSING:-y}", "x-one-y"),
        ("$A", "$A"),
    ],
)
def test_references_are_replaced(text: str, expected: str) -> None:
    assert substitute(text, {"A": "one", "EMPTY": ""}) == expected


def test_references_are_replaced_at_every_depth() -> None:
    assert substitute({"a": ["${A}", 1, {"b": "${A}"}]}, {"A": "x"}) == {"a": ["x", 1, {"b": "x"}]}
