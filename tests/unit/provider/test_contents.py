"""The fingerprint of a function's folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from swarmfn.provider.local import contents
from swarmfn.provider.local.contents import fingerprint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "handler.py").write_text("1")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "words.txt").write_text("a b c")
    return tmp_path


def test_an_untouched_folder_keeps_its_fingerprint(folder: Path) -> None:
    assert fingerprint(folder) == fingerprint(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "handler.py").write_text("22"),
        lambda folder: os.utime(folder / "handler.py", (1, 1)),
        lambda folder: (folder / "handler.py").chmod(0o755),
        lambda folder: (folder / "handler.py").rename(folder / "other.py"),
        lambda folder: (folder / "data" / "more.txt").write_text(""),
        lambda folder: (folder / "link").symlink_to("handler.py"),
        lambda folder: (folder / "data" / "words.txt").unlink(),
    ],
    ids=["size", "time", "mode", "name", "new file", "link", "removal"],
)
def test_a_change_shows(folder: Path, change: Callable[[Path], object]) -> None:
    before = fingerprint(folder)
    change(folder)
    assert fingerprint(folder) != before


@pytest.mark.parametrize("name", ["__pycache__", ".git", "node_modules", ".venv"])
def test_caches_and_version_control_do_not_count(folder: Path, name: str) -> None:
    before = fingerprint(folder)
    (folder / name).mkdir()
    (folder / name / "file").write_text("x")
    assert fingerprint(folder) == before


def test_what_pip_builds_beside_a_package_does_not_count(folder: Path) -> None:
    (folder / "setup.py").write_text("")
    before = fingerprint(folder)
    for name in ("build", "pkg.egg-info"):
        (folder / name).mkdir()
        (folder / name / "file").write_text("x")
    assert fingerprint(folder) == before


def test_a_build_folder_without_a_package_counts(folder: Path) -> None:
    before = fingerprint(folder)
    (folder / "build").mkdir()
    (folder / "build" / "site.js").write_text("x")
    assert fingerprint(folder) != before


def test_names_that_are_no_text_are_taken(folder: Path) -> None:
    (folder / os.fsdecode(b"bad\xff")).write_text("")
    assert fingerprint(folder)


def test_a_huge_folder_is_not_looked_through(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MAX_FILES", 2)
    before = fingerprint(folder)
    (folder / "z").write_text("beyond the limit")
    assert fingerprint(folder) == before
