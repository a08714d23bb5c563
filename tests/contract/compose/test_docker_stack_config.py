"""Compose files, as Docker's own `docker stack config` reads them and as we do.

Docker's output is a compose file in one form for everything, with nothing left to put in. So both sides are compared
as the records that we make of them. Each file in files/ that begins with `# refused` must be refused by both, each that
begins with `# differs: …` has a form that Docker's command does not know and the Compose specification does.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from stack.compose.loading import load_compose
from stack.errors import ComposeFileError
from tests.support.requirements import missing

FILES = sorted((Path(__file__).parent / "files").glob("*.yml"))
VARIABLES = {"A": "one", "B": "bee", "EMPTY": "", "COUNT": "3", "PORT": "8080"}


def first_line(file: Path) -> str:
    return file.read_text().partition("\n")[0]


READABLE = [file for file in FILES if not first_line(file).startswith(("# refused", "# differs"))]
REFUSED = [file for file in FILES if first_line(file).startswith("# refused")]
DIFFERENT = [file for file in FILES if first_line(file).startswith("# differs")]


def docker_reads(*files: Path) -> subprocess.CompletedProcess[str]:
    """What the command says; it needs no engine."""
    program = shutil.which("docker")
    if program is None:
        missing("docker", "there is no docker client")
        raise AssertionError
    environment = {**VARIABLES, "HOME": "/root", "DOCKER_HOST": "unix:///nonexistent.sock"}
    command = [program, "stack", "config", *(f"--compose-file={file}" for file in files)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    if "unknown command" in done.stderr or "is not a docker command" in done.stderr:
        missing("docker", "this docker client has no `stack config`")
    return done


@pytest.mark.parametrize("file", READABLE, ids=lambda file: file.stem)
def test_a_file_is_read_as_docker_reads_it(file: Path, tmp_path: Path) -> None:
    done = docker_reads(file)
    assert done.returncode == 0, done.stderr
    theirs = tmp_path / "theirs.yml"
    # It has put in what the files of variables say, and names them still.
    without_files = re.sub(r"(?m)^    env_file:\n(?:      - .*\n)+", "", done.stdout)
    theirs.write_text(without_files.replace("$", "$$"))
    assert load_compose(file, VARIABLES) == load_compose(theirs, {})


@pytest.mark.parametrize("file", REFUSED, ids=lambda file: file.stem)
def test_what_docker_refuses_is_refused(file: Path) -> None:
    assert docker_reads(file).returncode != 0
    with pytest.raises(ComposeFileError):
        load_compose(file, VARIABLES)


@pytest.mark.parametrize("file", DIFFERENT, ids=lambda file: file.stem)
def test_what_dockers_command_does_not_know_is_read_as_the_specification_says(file: Path) -> None:
    """The last line of the file is what it means, as a comment."""
    expected = file.read_text().rstrip().rpartition("\n")[2].removeprefix("# ")
    assert load_compose(file, VARIABLES).services["a"].environment["x"] == expected
    done = docker_reads(file)
    # Once Docker's command reads it so as well, the file belongs to the others.
    assert done.returncode != 0 or f"x: {expected}\n" not in done.stdout


def test_several_files_are_merged_as_docker_merges_them(tmp_path: Path) -> None:
    one, two = (Path(__file__).parent / "merged" / name for name in ("one.yml", "two.yml"))
    done = docker_reads(one, two)
    assert done.returncode == 0, done.stderr
    theirs = tmp_path / "theirs.yml"
    theirs.write_text(done.stdout.replace("$", "$$"))
    assert load_compose(one, VARIABLES, [two]) == load_compose(theirs, {})
