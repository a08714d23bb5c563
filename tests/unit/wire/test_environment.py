"""Settings: defaults, parsing, and every problem in one message."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmfn.wire.environment import Environment
from swarmfn.wire.errors import SettingsError


def test_missing_and_empty_variables_give_the_defaults() -> None:
    for variables in (
        {},
        dict.fromkeys(("t", "i", "f", "d", "s", "c"), ""),
        dict.fromkeys(("t", "i", "f", "d", "s", "c"), " "),
    ):
        env = Environment(variables)
        assert env.text("t", "x") == "x"
        assert env.integer("i", 7) == 7
        assert env.flag("f", True) is True
        assert env.duration("d", "65s") == 65.0
        assert env.size("s", "64Mi") == 2**26
        assert env.choice("c", "a", ("a", "b")) == "a"
        env.finish()


def test_values_are_parsed_and_trimmed() -> None:
    env = Environment({"t": " x ", "i": " 12 ", "d": "1m30s", "s": "1Gi", "c": "b"})
    assert env.text("t") == "x"
    assert env.integer("i", 0) == 12
    assert env.duration("d", "0") == 90.0
    assert env.size("s", "0") == 2**30
    assert env.choice("c", "a", ("a", "b")) == "b"
    env.finish()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", True),
        ("true", True),
        ("YES", True),
        ("on", True),
        ("0", False),
        ("False", False),
        ("no", False),
        ("off", False),
    ],
)
def test_flags_are_read_in_any_of_the_usual_words(text: str, value: bool) -> None:
    env = Environment({"f": text})
    assert env.flag("f", not value) is value
    env.finish()


def test_all_problems_are_reported_together_each_with_its_variable_and_value() -> None:
    env = Environment({"i": "many", "f": "perhaps", "d": "soon", "s": "lots", "c": "z", "fine": "5"})
    assert env.integer("i", 3) == 3
    assert env.flag("f", True) is True
    assert env.duration("d", "5s") == 5.0
    assert env.size("s", "1Mi") == 2**20
    assert env.choice("c", "a", ("a", "b")) == "a"
    assert env.integer("fine", 1) == 5
    env.problem("upstream_timeout", "must be shorter than read_timeout")
    with pytest.raises(SettingsError) as raised:
        env.finish()
    assert str(raised.value) == (
        "cannot start: i: expected a whole number of at least 0, got 'many'; "
        "f: expected true or false, got 'perhaps'; "
        "d: expected seconds or a duration such as \"1m30s\", got 'soon'; "
        "s: expected an amount of memory such as \"64Mi\", got 'lots'; "
        "c: expected one of a, b, got 'z'; "
        "upstream_timeout: must be shorter than read_timeout"
    )


def test_a_number_below_its_minimum_is_a_problem() -> None:
    env = Environment({"port": "0"})
    assert env.integer("port", 8080, minimum=1) == 8080
    with pytest.raises(SettingsError, match="port: expected a whole number of at least 1, got '0'"):
        env.finish()


@pytest.mark.parametrize(("text", "minimum"), [("0", 0), ("65535", 0), ("1", 1)])
def test_a_port_may_be_any_there_is(text: str, minimum: int) -> None:
    env = Environment({"port": text})
    assert env.port("port", 8080, minimum) == int(text)
    env.finish()


@pytest.mark.parametrize("text", ["-1", "65536", "http"])
def test_no_other_number_is_a_port(text: str) -> None:
    env = Environment({"port": text})
    assert env.port("port", 8080) == 8080
    with pytest.raises(SettingsError, match="port: expected a whole number"):
        env.finish()


def test_a_secret_is_its_files_text_without_the_last_newline(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("s3cret")
    (tmp_path / "line").write_text("s3cret\n")
    (tmp_path / "dos").write_text("s3cret\r\n")
    (tmp_path / "spaces").write_text(" s3cret \n")
    env = Environment({})
    assert [env.secret(str(tmp_path), name) for name in ("plain", "line", "dos")] == ["s3cret"] * 3
    assert env.secret(str(tmp_path), "spaces") == " s3cret "
    env.finish()


def test_a_missing_secret_is_none_and_no_problem(tmp_path: Path) -> None:
    env = Environment({})
    assert env.secret(str(tmp_path / "nowhere"), "key") is None
    env.finish()


def test_a_secret_that_cannot_be_read_is_a_problem_that_names_the_file_and_not_its_content(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"hunter2\xff\xfe")
    env = Environment({})
    assert env.secret(str(tmp_path), "folder") is None
    assert env.secret(str(tmp_path), "binary") is None
    with pytest.raises(SettingsError) as raised:
        env.finish()
    assert str(tmp_path / "folder") in str(raised.value)
    assert str(tmp_path / "binary") in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_variables_that_are_called_nearly_like_one_that_was_asked_for_are_named() -> None:
    variables = {"exec_timeot": "5m", "READ_TIMEOUT": "5s", "PORT": "1", "HOME": "/", "other_thing": "1", "exec": "1"}
    env = Environment({**variables, "read_timeout": "5s"})
    for name in ("exec_timeout", "read_timeout", "write_timeout", "mode"):
        env.text(name)
    assert env.misspelt() == (
        "there is no setting READ_TIMEOUT; did you mean read_timeout?",
        "there is no setting exec_timeot; did you mean exec_timeout?",
    )
