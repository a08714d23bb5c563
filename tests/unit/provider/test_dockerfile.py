"""ENV lines of a Dockerfile."""

from __future__ import annotations

import pytest

from swarmfn.provider.local.dockerfile import environment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ENV fprocess=cat", {"fprocess": "cat"}),
        ("env a=1 b=2", {"a": "1", "b": "2"}),
        ('ENV fprocess="python3 index.py" mode=fork', {"fprocess": "python3 index.py", "mode": "fork"}),
        ("ENV a='one two' b=x\\ y", {"a": "one two", "b": "x y"}),
        ("ENV fprocess python3 index.py", {"fprocess": "python3 index.py"}),
        ("ENV a=1 \\\n    b=2 \\\n    c=3", {"a": "1", "b": "2", "c": "3"}),
        ("ENV a=1 \\\n# in between\n    b=2", {"a": "1", "b": "2"}),
        ("ENV a=1\\\n\n b=2", {"a": "1", "b": "2"}),
        ("ENV a=", {"a": ""}),
        ('ENV a="say \\"hi\\""', {"a": 'say "hi"'}),
        ("ENV a=x=y", {"a": "x=y"}),
        ("ENV a=1\nENV a=2", {"a": "2"}),
        ("# ENV a=1\nRUN echo ENV b=2", {}),
        ("ENV", {}),
        ("", {}),
    ],
)
def test_both_forms_of_env_are_read(text: str, expected: dict[str, str]) -> None:
    assert environment(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ENV a=1\nENV b=$a-${a}", "1-1"),
        ("ARG v=3\nENV b=$v", "3"),
        ("ENV b=${none:-fallback}", "fallback"),
        ("ENV a=1\nENV b=${a:+set}", "set"),
        ("ENV b=${none:+set}", ""),
        ("ENV a=1\nENV b='$a'", "$a"),
        ('ENV a=1\nENV b="$a"', "1"),
        ("ENV a=1\nENV b=\\$a", "$a"),
        ("ENV a=1\nENV a=2 b=$a", "1"),
    ],
)
def test_references_are_filled_in_as_a_build_does(text: str, expected: str) -> None:
    assert environment(text)["b"] == expected


def test_only_the_last_stage_counts_with_what_it_is_built_on() -> None:
    text = "FROM x AS base\nENV a=base\nFROM y AS other\nENV b=other\nFROM --platform=linux/amd64 base\nENV c=last\n"
    assert environment(text) == {"a": "base", "c": "last"}


def test_a_stage_does_not_change_the_one_it_is_built_on() -> None:
    assert environment("FROM x AS base\nENV a=1\nFROM base\nENV a=2\nFROM base") == {"a": "1"}
