"""Names of functions: with or without the namespace, old and new."""

from __future__ import annotations

import pytest

from swarmfn.wire.errors import FunctionNotFound, InvalidFunction
from swarmfn.wire.names import MAX_LENGTH, NAMESPACE, RESERVED, check_new_name, function_name, qualified

GOOD = ["echo", "Echo", "e", "7", "word-count", "word_count", "a--b", "x" * MAX_LENGTH]
BAD = [
    "",
    ".",
    "-echo",
    "echo-",
    "_echo",
    "echo_",
    "a b",
    "a/b",
    "../etc",
    "échó",
    "echo\n",
    "echo.dev",
    "echo.openfaas-fn.openfaas-fn",
    "x" * (MAX_LENGTH + 1),
]


@pytest.mark.parametrize("name", GOOD)
def test_a_name_is_the_same_with_and_without_the_namespace(name: str) -> None:
    assert function_name(name) == name
    assert function_name(f"{name}.{NAMESPACE}") == name
    assert check_new_name(f"{name}.{NAMESPACE}") == name


@pytest.mark.parametrize("text", BAD)
def test_to_a_caller_what_cannot_be_a_name_is_a_function_that_does_not_exist(text: str) -> None:
    with pytest.raises(FunctionNotFound):
        function_name(text)


@pytest.mark.parametrize("text", [*BAD, f".{NAMESPACE}"])
def test_a_new_function_with_such_a_name_is_refused_with_the_rule(text: str) -> None:
    with pytest.raises(InvalidFunction, match="letters, digits, - and _") as raised:
        check_new_name(text)
    assert raised.value.field == "service"
    assert raised.value.status == 400


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_names_of_the_platforms_own_parts_are_refused(name: str) -> None:
    with pytest.raises(InvalidFunction, match="part of the platform"):
        check_new_name(name)


@pytest.mark.parametrize("name", ["Gateway", "REDIS"])
def test_a_name_that_differs_from_a_part_of_the_platform_in_case_only_is_refused(name: str) -> None:
    with pytest.raises(InvalidFunction, match="part of the platform"):
        check_new_name(name)


def test_an_endless_name_is_not_repeated_in_full() -> None:
    with pytest.raises(FunctionNotFound) as raised:
        function_name("x" * 10_000)
    assert len(str(raised.value)) < 300


def test_metrics_name_a_function_with_its_namespace() -> None:
    assert qualified("echo") == "echo.openfaas-fn"
