"""YAML as Docker's programs read it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from stack.compose.yaml_text import float_text, read_yaml


@pytest.mark.parametrize("word", ["off", "on", "yes", "no", "y", "N", "On", "tRue", "1:30", "0o8", "=", "1.2.3", "."])
def test_words_are_texts(word: str) -> None:
    assert read_yaml(f"{{a: {word}}}") == {"a": word}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("Null", None),
        ("0440", 0o440),
        ("0o440", 0o440),
        ("0x1f", 31),
        ("-0x1f", -31),
        ("0b11", 3),
        ("1_000", 1000),
        ("+1", 1),
        ("08", 8.0),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("'1'", "1"),
    ],
)
def test_values_have_their_types(text: str, value: Any) -> None:
    found = read_yaml(f"{{a: {text}}}")["a"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("number", "text"),
    [(1.5, "1.5"), (1.0, "1"), (1e5, "100000"), (1e6, "1e+06"), (1234567.0, "1.234567e+06"), (0.0001, "0.0001")],
)
def test_numbers_are_written_as_docker_does(number: float, text: str) -> None:
    assert float_text(number) == text


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3\n", "b:\n  c: 1\n  d: 1\n  c: 2\n", "{a: 1, 'a': 2}"])
def test_a_key_that_is_there_twice_is_refused_with_both_lines(text: str) -> None:
    key = "c" if "c" in text else "a"
    lines = {"a": ("3", "1"), "c": ("4", "2")}[key] if "\n" in text else ("1", "1")
    with pytest.raises(yaml.YAMLError, match=f"line {lines[0]}: the key '{key}' .* line {lines[1]}$"):
        read_yaml(text)


def test_a_key_beside_a_merge_is_no_second_one() -> None:
    document = read_yaml("x: &x {a: 1, b: 2}\ny: {<<: *x, a: 3}\nz: {<<: *x, a: 4}")
    assert (document["y"], document["z"]) == ({"a": 3, "b": 2}, {"a": 4, "b": 2})


def test_a_date_has_to_be_in_quotes() -> None:
    with pytest.raises(yaml.YAMLError, match="line 1: write the date '2001-01-01' in quotes"):
        read_yaml("{a: 2001-01-01}")
