"""The Lua scripts as files: real Lua reads them, and each says truthfully what it needs and touches."""

from __future__ import annotations

import re
from pathlib import Path

import lupa.lua51
import pytest

from swarmfn.jobs import scripts
from swarmfn.jobs.scripts.script import BadScript, Script, load, prelude_of
from swarmfn.wire.priorities import PRIORITIES
from tests.support.processes import REPOSITORY

FOLDER = REPOSITORY / "swarmfn" / "jobs" / "scripts"
SCRIPTS = sorted(FOLDER.glob("*.lua"))
PARTS = sorted(FOLDER.glob("prelude/*.lua"))
SPELT_OUT = re.compile(r"'(?:rq|swarmfn):")
NAME = re.compile(r"\b[A-Z][A-Z_]+\b")
GIVEN = {"FIRST_ITEM", "ITEM_WIDTH"}


def parse(text: str) -> None:
    """Raises LuaSyntaxError."""
    lupa.lua51.LuaRuntime(unpack_returned_tuples=True).compile(re.sub(r"\A#!.*", "", text))


def head_of(path: Path) -> dict[str, str]:
    """What the first comment says, by its words before the colon."""
    comment = re.match(r"(?:#!.*\n)?((?:--.*\n)+)", path.read_text())
    assert comment, f"{path.name} does not begin with a comment"
    said: dict[str, str] = {}
    word = "about"
    for line in comment[1].splitlines():
        named = re.match(r"-- (prelude|keys|constants|arguments|items|list|meaning|gives|reply): (.+)", line)
        if named:
            word = named[1]
            said[word] = named[2]
        else:
            said[word] = said.get(word, "") + " " + line.lstrip("- ")
    return said


@pytest.mark.parametrize("path", [*SCRIPTS, *PARTS], ids=lambda path: path.stem)
def test_real_lua_parses_each_file(path: Path) -> None:
    parse(path.read_text())


@pytest.mark.parametrize("name", [name for name in scripts.__all__ if name != "Script"])
def test_real_lua_parses_each_script_with_its_prelude(name: str) -> None:
    parse(getattr(scripts, name).text)


def test_the_parser_refuses_what_is_no_lua() -> None:
    with pytest.raises(lupa.lua51.LuaSyntaxError):
        parse("#!lua flags=allow-oom\nlocal x = = 1")


def test_each_file_is_loaded_under_its_name() -> None:
    assert {path.stem.upper() for path in SCRIPTS} == set(scripts.__all__) - {"Script"}
    assert {part for path in SCRIPTS for part in prelude_of(path.read_text())} == {path.stem for path in PARTS}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_each_script_says_what_it_does_its_keys_its_arguments_and_its_reply(path: Path) -> None:
    said = head_of(path)
    found = {word for word, text in said.items() if text.strip()}
    assert {"about", "keys", "reply"} <= found
    assert found & {"arguments", "items", "list"}


def code_of(path: Path) -> str:
    """Without comments and texts."""
    return re.sub(r"'[^']*'", "''", re.sub(r"--.*", "", path.read_text()))


@pytest.mark.parametrize("path", [*SCRIPTS, *PARTS], ids=lambda path: path.stem)
def test_the_keys_and_constants_that_are_stated_are_those_that_are_used(path: Path) -> None:
    said = head_of(path)
    stated = NAME.findall(said.get("keys", "")) + NAME.findall(said.get("constants", ""))
    used = set(NAME.findall(code_of(path))) - GIVEN - {"ARGV"} - local_names(path)
    assert sorted(stated) == sorted(used)


def local_names(path: Path) -> set[str]:
    """The constants of its own."""
    return set(re.findall(r"(?m)^local ([A-Z_]+) =", path.read_text()))


@pytest.mark.parametrize("path", [*SCRIPTS, *PARTS], ids=lambda path: path.stem)
def test_no_key_and_no_lane_is_spelt_out(path: Path) -> None:
    code = re.sub(r"--.*", "", path.read_text())
    assert SPELT_OUT.findall(code) == []
    assert [priority for priority in PRIORITIES if f":{priority}" in code] == []


def test_a_script_has_the_names_of_its_parts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prelude").mkdir()
    (tmp_path / "prelude" / "part.lua").write_text("-- keys: JOB, DUE\n")
    (tmp_path / "some.lua").write_text(
        "-- prelude: part\n-- keys: JOB\n-- constants: PRIORITY_SUFFIXES\nreturn JOB .. PRIORITY_SUFFIXES[1]"
    )
    (tmp_path / "bad.lua").write_text("-- keys: JOB, JOBS\nreturn JOB")
    monkeypatch.setattr("swarmfn.jobs.scripts.script._FOLDER", tmp_path)
    names = "local JOB, DUE, PRIORITY_SUFFIXES = 'rq:job:', 'swarmfn:due', {':high', '', ':low'}\n"
    assert load("some").text.startswith(names)
    with pytest.raises(BadScript, match="there are no keys called JOBS"):
        load("bad")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_each_argument_has_one_name_and_is_used_by_it(path: Path) -> None:
    script, text = load(path.stem), re.sub(r"(?m)^--.*$", "", path.read_text())
    assert "ARGV" not in text
    names = [*script.arguments, *([script.rest] if script.rest else [])]
    assert len({*names, *script.items}) == len(names) + len(script.items)
    assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []
    assert [name for name in script.items if not re.search(rf"\bitem\.{name}\b", text)] == []


def test_what_a_script_is_sent_is_in_the_order_of_its_names() -> None:
    script = Script("", ("first", "second"), ("a", "b"))
    assert script.words([{"b": 4, "a": 3}, {"a": 5, "b": 6}], second=2, first=1) == [1, 2, 3, 4, 5, 6]
    assert Script("", ("first",), rest="more").words([2, 3], first=1) == [1, 2, 3]


@pytest.mark.parametrize(
    ("items", "arguments"),
    [([], {}), ([], {"first": 1, "third": 3}), ([{"a": 1}], {"first": 1}), ([{"a": 1, "b": 2, "c": 3}], {"first": 1})],
)
def test_a_name_too_many_or_too_few_is_refused(items: list[dict[str, int]], arguments: dict[str, int]) -> None:
    with pytest.raises((KeyError, TypeError)):
        Script("", ("first",), ("a", "b")).words(items, **arguments)


def test_names_are_read_from_the_comment_over_several_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = "-- arguments: one, two,\n--   three\n-- items: four,\n--   five\n-- meaning: six, seven\n"
    (tmp_path / "some.lua").write_text(f"{names}return item_at(4).five")
    (tmp_path / "more.lua").write_text("-- arguments: none\n-- list: all\nreturn #all")
    monkeypatch.setattr("swarmfn.jobs.scripts.script._FOLDER", tmp_path)
    some, more = load("some"), load("more")
    assert (some.arguments, some.items, some.rest) == (("one", "two", "three"), ("four", "five"), "")
    assert "local one, two, three = ARGV[1], ARGV[2], ARGV[3]\n" in some.text
    assert "five = ARGV[i+1]" in some.text
    assert (more.arguments, more.items, more.rest) == ((), (), "all")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_what_a_part_says_must_follow_does(path: Path) -> None:
    text, parts = path.read_text(), prelude_of(path.read_text())
    for part, last in (("tally", "write_tally()"), ("release", "write_releases()"), ("queueing", "wake()")):
        assert part not in parts or f"\n{last}\n" in text, f"{path.name} uses {part} without {last}"


def test_a_part_that_comes_too_late_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prelude").mkdir()
    (tmp_path / "prelude" / "first.lua").write_text("local one = 1\n")
    (tmp_path / "prelude" / "second.lua").write_text("-- prelude: first\nlocal two = one + 1\n")
    (tmp_path / "good.lua").write_text("#!lua flags=allow-oom\n-- prelude: first, second\nreturn two\n")
    (tmp_path / "bad.lua").write_text("-- prelude: second, first\nreturn two\n")
    (tmp_path / "lost.lua").write_text("-- prelude: third\nreturn 3\n")
    monkeypatch.setattr("swarmfn.jobs.scripts.script._FOLDER", tmp_path)
    good = load("good").text
    assert good.startswith("#!lua flags=allow-oom\n")
    assert good.index("local one") < good.index("local two") < good.index("return two")
    with pytest.raises(BadScript, match=r"bad\.lua: second needs first before it"):
        load("bad")
    with pytest.raises(BadScript, match="third"):
        load("lost")
