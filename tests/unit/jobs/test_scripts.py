"""The Lua scripts as files: real Lua reads them, and each says truthfully what it needs and touches."""

from __future__ import annotations

import re
from pathlib import Path

import lupa.lua51
import pytest

from swarmfn.jobs import scripts
from swarmfn.jobs.scripts.script import BadPrelude, load, prelude_of
from tests.support.processes import REPOSITORY

FOLDER = REPOSITORY / "swarmfn" / "jobs" / "scripts"
SCRIPTS = sorted(FOLDER.glob("*.lua"))
PARTS = sorted(FOLDER.glob("prelude/*.lua"))
KEY = re.compile(r"'((?:rq|swarmfn):[a-z:-]+)'")
ITEM = re.compile(r"each\((\d+), (\d+), \w+\)")


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
        named = re.match(r"-- (prelude|keys|arguments|gives|reply): (.+)", line)
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
    assert {"about", "keys", "arguments", "reply"} <= {word for word, text in said.items() if text.strip()}


@pytest.mark.parametrize("path", [*SCRIPTS, *PARTS], ids=lambda path: path.stem)
def test_the_keys_that_are_stated_are_those_that_are_touched(path: Path) -> None:
    stated = set(re.findall(r"(?:rq|swarmfn):[a-z:-]+", head_of(path).get("keys", "")))
    assert stated == set(KEY.findall(path.read_text()))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_width_that_is_stated_is_the_one_that_is_read(path: Path) -> None:
    for _, width in ITEM.findall(path.read_text()):
        assert width == "1" or f"items ({width}):" in head_of(path)["arguments"]


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
    with pytest.raises(BadPrelude, match=r"bad\.lua: second needs first before it"):
        load("bad")
    with pytest.raises(BadPrelude, match="third"):
        load("lost")
