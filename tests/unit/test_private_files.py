"""Files that are replaced as a whole, for one user alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmfn.private_files import UNFINISHED, write_private


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
@pytest.mark.parametrize("content", ["grüße\n", "grüße\n".encode()])
def test_the_content_is_there_for_this_user_only(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "password"
    write_private(path, content)
    assert path.read_bytes() == "grüße\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("open_umask")
def test_a_file_that_others_could_read_is_replaced_by_one_they_cannot(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("old")
    with path.open() as reader:
        write_private(path, "new")
        assert (reader.read(), path.read_text()) == ("old", "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "password"
    write_private(path, "old")

    def full(descriptor: int) -> None:
        (draft,) = tmp_path.glob(f"*{UNFINISHED}")
        assert stat.S_IMODE(draft.stat().st_mode) == 0o600
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_private(path, "new")
    assert [(one, one.read_text()) for one in tmp_path.iterdir()] == [(path, "old")]


def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was waited for, by its present path."""
    paths: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda number: paths.append(os.readlink(f"/proc/self/fd/{number}")))
    return paths


def test_what_is_durable_is_waited_for_and_so_is_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = synced(monkeypatch)
    write_private(tmp_path / "password", "new")
    draft, folder = paths
    assert (Path(draft).parent, folder) == (tmp_path, str(tmp_path))
    assert draft.endswith(UNFINISHED)


def test_nothing_is_waited_for_when_it_need_not_be_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = synced(monkeypatch)
    write_private(tmp_path / "record.json", b"{}", is_durable=False)
    assert paths == []
    assert (tmp_path / "record.json").read_bytes() == b"{}"
