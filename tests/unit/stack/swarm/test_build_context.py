"""What an image is built from, and the digest of it."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from stack.errors import StackError
from stack.swarm.build_context import BuildContext, folder_context


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "code" / "run.sh").chmod(0o700)
    (tmp_path / "code" / "data").write_text("data")
    (tmp_path / "code" / "data").chmod(0o600)
    return tmp_path


def test_everything_in_the_folder_counts(folder: Path) -> None:
    assert set(folder_context(folder).files) == {"Dockerfile", "code/run.sh", "code/data"}


def test_what_is_ignored_does_not_and_the_dockerfile_always_does(folder: Path) -> None:
    # The engine reads .dockerignore too, and keeps both files out of the image where it says so.
    (folder / ".dockerignore").write_text("# all but\n*\n\n!code\ncode/data\n")
    assert set(folder_context(folder).files) == {".dockerignore", "Dockerfile", "code/run.sh"}


def test_compiled_python_never_counts(folder: Path) -> None:
    (folder / "code" / "deep" / "__pycache__").mkdir(parents=True)
    (folder / "code" / "deep" / "__pycache__" / "x.cpython-311.pyc").write_text("")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_text("")
    assert set(folder_context(folder).files) == {"Dockerfile", "code/run.sh", "code/data"}


def test_no_dockerfile_is_an_error_that_names_it(folder: Path) -> None:
    with pytest.raises(StackError, match="there is no other/Dockerfile in"):
        folder_context(folder, "other/Dockerfile")


def test_the_digest_is_the_contents_and_not_the_places(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in ("Dockerfile", "code/run.sh", "code/data"):
        (elsewhere / name).parent.mkdir(exist_ok=True)
        (elsewhere / name).write_bytes((folder / name).read_bytes())
    (elsewhere / "code" / "run.sh").chmod(0o755)
    (elsewhere / "code" / "data").chmod(0o644)
    assert folder_context(folder).code() == folder_context(elsewhere).code()
    assert len(folder_context(folder).code()) == 12


def test_the_digest_changes_with_everything_that_changes_the_image(folder: Path) -> None:
    def code(**changes: object) -> str:
        return BuildContext(**{"files": {"Dockerfile": b"FROM x", "a": b"1"}, **changes}).code()  # type: ignore[arg-type]

    codes = [
        code(),
        code(files={"Dockerfile": b"FROM y", "a": b"1"}),
        code(files={"Dockerfile": b"FROM x", "a": b"2"}),
        code(files={"Dockerfile": b"FROM x", "b": b"1"}),
        code(files={"Dockerfile": b"FROM x", "a": folder / "code" / "run.sh"}),
        code(files={"Dockerfile": b"FROM x", "a": b"#!/bin/sh\n"}),
        code(dockerfile="a"),
        code(build_args={"BASE": "x"}),
        code(build_args={"BASE": "y"}),
        code(extra="watchdog 2"),
    ]
    assert len(set(codes)) == len(codes)


def test_everybody_may_read_what_is_in_the_archive(folder: Path) -> None:
    with folder_context(folder).archive() as file, tarfile.open(fileobj=file) as archive:
        modes = {entry.name: oct(entry.mode) for entry in archive}
        content = archive.extractfile("code/run.sh")
        assert content is not None
        assert content.read() == b"#!/bin/sh\n"
    assert modes == {"Dockerfile": "0o644", "code/run.sh": "0o755", "code/data": "0o644"}
