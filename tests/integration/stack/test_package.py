"""The wheel, built from the checkout and installed: the command `swarmfn` does what deploy_extended.py does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.checkout import Checkout
from tests.support.processes import REPOSITORY, free_port


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel in it, which finds its dependencies where the tests have theirs."""
    source = tmp_path_factory.mktemp("source") / "checkout"
    checkout = Checkout(source)
    checkout.add("shout", {"app.sh": "tr a-z A-Z\n"}, fprocess="sh app.sh", lang="dockerfile")
    for file in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / file, source)
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    _run(*pip, "wheel", "--no-deps", "-w", folder, source)
    _run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    packages = next(folder.glob("venv/lib/python*/site-packages"))
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib"))
    _run(*pip, "--python", folder / "venv", "install", "--no-deps", next(folder.glob("*.whl")))
    shutil.rmtree(source)  # nothing of it is needed any more
    return folder / "venv"


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return {**kept, "XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.fixture
def port(environment: Path, environ: Mapping[str, str], tmp_path: Path) -> Iterator[int]:
    """Of a stack that runs, started from an empty folder."""
    number = free_port()
    try:
        said = _swarmfn(environment, environ, tmp_path, "up", "--engine", "local", "--port", number)
        assert "swarmfn status | logs -f | down" in said
        yield number
    finally:
        _swarmfn(environment, environ, tmp_path, "down", "--engine", "local", "--purge")


def _run(*command: str | Path, cwd: Path = REPOSITORY, env: Mapping[str, str] | None = None) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _swarmfn(environment: Path, environ: Mapping[str, str], folder: Path, *arguments: str | int) -> str:
    return _run(environment / "bin" / "swarmfn", *map(str, arguments), cwd=folder, env=environ)


def test_the_stack_runs_with_its_examples_and_its_state_is_the_users(
    port: int, environment: Path, environ: Mapping[str, str], tmp_path: Path
) -> None:
    with urlopen(f"http://127.0.0.1:{port}/function/shout", b"hello", timeout=30) as answer:
        assert answer.read() == b"HELLO"
    assert "shout" in _swarmfn(environment, environ, tmp_path, "status")
    assert (tmp_path / "state" / "swarmfn" / "credentials").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_no_package_of_a_common_name_is_installed(environment: Path) -> None:
    packages = next(environment.glob("lib/python*/site-packages"))
    names = {path.name for path in packages.iterdir() if path.is_dir() and not path.name.endswith(".dist-info")}
    assert names - {"__pycache__"} == {"swarmfn"}


def test_images_are_made_from_the_same_files_as_in_a_checkout(environment: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from stack.build_recipes import stack_recipe, watchdog_recipe;"
        "root = Path(sys.argv[1]); print(stack_recipe(root).content_hash(), watchdog_recipe(root).content_hash())"
    )
    shared = environment / "share" / "swarmfn"
    digests = {
        root: _run(sys.executable, "-c", program, root, env={**os.environ, "PYTHONPATH": str(root)})
        for root in (REPOSITORY, shared)
    }
    assert digests[REPOSITORY] == digests[shared]


def test_help_names_the_command(environment: Path, environ: Mapping[str, str], tmp_path: Path) -> None:
    said = _swarmfn(environment, environ, tmp_path, "--help")
    assert "swarmfn up --port 9000" in said
    assert "deploy_extended" not in said
