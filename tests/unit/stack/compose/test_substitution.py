"""`$NAME` and `${NAME}` in the compose file."""

from __future__ import annotations

import pytest

from stack.compose.reader import Unusable
from stack.compose.substitution import substitute

VARIABLES = {"A": "one", "B": "bee", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "one"),
        ("$A", "one"),
        ("$A.b $A$B", "one.b onebee"),
        ("$MISSING", ""),
        ("${MISSING}", ""),
        ("${A:-two}", "one"),
        ("${MISSING:-two}", "two"),
        ("${EMPTY:-two}", "two"),
        ("${MISSING-two}", "two"),
        ("${EMPTY-two}", ""),
        ("${MISSING:-}", ""),
        ("${A:?needed}", "one"),
        ("${EMPTY?needed}", ""),
        ("${A:+x}", "x"),
        ("${EMPTY:+x}", ""),
        ("${EMPTY+x}", "x"),
        ("${MISSING+x}", ""),
        ("${MISSING:-${B}}", "bee"),
        ("${MISSING:-${OTHER:-${B}}}", "bee"),
        ("${MISSING:-x${B}y}", "xbeey"),
        ("${MISSING:-$B}", "bee"),
        ("${A:+${B}}", "bee"),
        ("${A:-${MISSING:?only where it is used}}", "one"),
        ("${MISSING:-$$B}", "$B"),
        ("${MISSING:-{a}}", "{a}"),
        ("${MISSING:-a:-b}", "a:-b"),
        ("$$A", "$A"),
        ("$${A}", "${A}"),
        ("$$$A", "$one"),
        ("x-${A}-${MISSING:-y}", "x-one-y"),
        ("}$A{", "}one{"),
        ("no dollar } here {", "no dollar } here {"),
    ],
)
def test_references_are_replaced(text: str, expected: str) -> None:
    assert substitute(text, VARIABLES) == expected


def test_references_are_replaced_at_every_depth() -> None:
    assert substitute({"a": ["${A}", 1, {"b": "${A}"}]}, {"A": "x"}) == {"a": ["x", 1, {"b": "x"}]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${MISSING:?set it}", "the variable MISSING is not set: set it"),
        ("${EMPTY:?set it}", "the variable EMPTY is not set: set it"),
        ("${MISSING?set it}", "the variable MISSING is not set: set it"),
        ("${MISSING:?}", "the variable MISSING is not set"),
        ("${MISSING:?see ${B}}", "the variable MISSING is not set: see bee"),
        ("${MISSING:-${OTHER:?set it}}", "the variable OTHER is not set: set it"),
    ],
)
def test_a_variable_that_is_required_is_named_with_the_place(text: str, message: str) -> None:
    with pytest.raises(Unusable) as caught:
        substitute({"services": {"a": {"ports": ["1:1", text]}}}, VARIABLES)
    assert str(caught.value) == f"services.a.ports[1]: {message}"


@pytest.mark.parametrize(
    "text",
    ["$", "a$", "$ b", "$1", "$(x)", "$é", "${}", "${1}", "${A", "${A b}", "${ A }", "${A.b}", "${A!x}", "${A:x}"],
)
def test_an_unknown_form_is_refused_with_the_place(text: str) -> None:
    with pytest.raises(Unusable, match=r"^services\.a\.image: .* is not a reference"):
        substitute({"services": {"a": {"image": text}}}, VARIABLES)


@pytest.mark.parametrize("text", ["${A/x/y}", "${A:=x}", "${A:-${", "${MISSING:-${B}", "${A:-$}"])
def test_an_unknown_operator_or_an_open_end_is_refused(text: str) -> None:
    with pytest.raises(Unusable, match="is not a reference"):
        substitute(text, VARIABLES)


@pytest.mark.parametrize("text", ["$A-b", "$A:-b", "$A?b", "x$A:?b"])
def test_what_docker_and_compose_read_differently_is_refused(text: str) -> None:
    with pytest.raises(Unusable, match=r"^services\.a\.image: \$A and what follows .* Write \$\{A\} there$"):
        substitute({"services": {"a": {"image": text}}}, VARIABLES)
