"""The virtual environment: made, reused, recovered. The packages come from folders that the tests make."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from stack.venv import Venv, VenvError, has_pins, python_for
from tests.support.processes import REPOSITORY, ChildProcess, free_port
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that needs no index and no build tool."""
    return make_wheel(tmp_path_factory.mktemp("wheels") / "tiny_thing-1.0-py3-none-any.whl")


@pytest.fixture
def requirements(tmp_path: Path, wheel: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text(f"tiny-thing @ file://{wheel}\n")
    return path


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """A folder with a ready environment; making one takes seconds, so it is made once."""
    folder = tmp_path_factory.mktemp("original")
    (folder / "requirements.txt").write_text(f"tiny-thing @ file://{wheel}\n")
    said: list[str] = []
    Venv(folder / ".venv", folder / "requirements.txt", said.append).ensure()
    assert said[-1] == "the Python environment is ready"
    return folder


@pytest.fixture
def ready(original: Path, tmp_path: Path) -> Path:
    """A copy of that folder for one test."""
    return shutil.copytree(original, tmp_path / "ready", symlinks=True)


def venv_in(folder: Path, said: list[str] | None = None) -> Venv:
    return Venv(folder / ".venv", folder / "requirements.txt", (said if said is not None else []).append)


def make_wheel(path: Path) -> Path:
    info = "tiny_thing-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny_thing.py", "answer = 42\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "tiny_thing.py,,\n")
    return path


def answer(venv: Venv) -> str:
    return subprocess.run(
        [venv.python, "-c", "import tiny_thing; print(tiny_thing.answer)"], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_it_is_made_once(original: Path) -> None:
    said: list[str] = []
    venv = venv_in(original, said)
    assert (venv.is_current(), answer(venv)) == (True, "42")
    venv.ensure()
    assert said == []


def test_changed_requirements_make_it_stale_and_are_installed_on_top(ready: Path) -> None:
    venv = venv_in(ready)
    venv.ensure()
    (ready / ".venv" / "left-alone").touch()
    with (ready / "requirements.txt").open("a") as file:
        file.write("# changed\n")
    assert not venv.is_current()
    venv.ensure()
    assert venv.is_current()
    assert (ready / ".venv" / "left-alone").exists()


def test_an_environment_without_its_interpreter_is_made_again(ready: Path) -> None:
    venv = venv_in(ready)
    venv.python.unlink()
    assert not venv.is_current()
    venv.ensure()
    assert answer(venv) == "42"


def test_development_requirements_count_for_the_others_too(ready: Path) -> None:
    (ready / "requirements.txt").write_text("# nothing\n")
    (ready / "requirements-dev.txt").write_text("-r requirements.txt\n")
    assert not venv_in(ready).is_current()
    Venv(ready / ".venv", ready / "requirements-dev.txt", lambda line: None).ensure()
    assert venv_in(ready).is_current()


def test_a_killed_installation_is_recovered(tmp_path: Path, requirements: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from stack.venv import Venv\n"
        "Venv(Path(sys.argv[1]), Path(sys.argv[2])).ensure()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / ".venv"), str(requirements)]
    marker = tmp_path / ".venv" / ".installing"
    with ChildProcess(command, tmp_path / "log") as first:
        wait_until(marker.exists, message="the installation has begun")
        first.send(signal.SIGKILL)
        first.wait()
    assert marker.exists()
    said: list[str] = []
    venv = Venv(tmp_path / ".venv", requirements, said.append)
    assert not venv.is_current()
    venv.ensure()
    assert (venv.is_current(), answer(venv)) == (True, "42")
    assert any("did not finish" in line for line in said)


def test_two_at_once_share_the_work(tmp_path: Path, requirements: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from stack.venv import Venv\n"
        "Venv(Path(sys.argv[1]), Path(sys.argv[2])).ensure()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / ".venv"), str(requirements)]
    with ChildProcess(command, tmp_path / "first") as first:
        wait_until((tmp_path / ".venv" / ".installing").exists)
        with ChildProcess(command, tmp_path / "second") as second:
            assert (first.wait(120), second.wait(120)) == (0, 0)
            assert "waiting for it" in second.log()
            assert "making a virtual environment" not in second.log()


def test_a_failed_installation_shows_what_pip_said(ready: Path) -> None:
    (ready / "requirements.txt").write_text(f"{ready}/no-such-folder\n")
    with pytest.raises(VenvError, match="no-such-folder"):
        venv_in(ready).ensure()
    assert not venv_in(ready).is_current()


def test_an_index_that_cannot_be_reached_is_called_that(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{free_port()}/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    (ready / "requirements.txt").write_text("tiny-thing==2.0\n")
    with pytest.raises(VenvError, match=r"^the Python package index cannot be reached\. .*PIP_INDEX_URL=URL"):
        venv_in(ready).ensure()


def checkout(folder: Path) -> Path:
    """What a fresh clone has that is needed to come as far as the environment."""
    for package in ("stack", "swarmfn"):
        shutil.copytree(REPOSITORY / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("deploy_extended.py", "requirements.txt"):
        shutil.copy(REPOSITORY / file, folder)
    return folder / "deploy_extended.py"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--help"], 0, "commands:"),
        (["up", "--help"], 0, "--management-port"),
        (["--version"], 0, "swarmfn 0."),
        (["up", "--prot", "9000"], 2, "unrecognized arguments: --prot 9000"),
    ],
)
def test_help_and_wrong_usage_need_no_environment(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    # Isolated, and without the packages of the user who runs the tests.
    command: list[str | Path] = [sys.executable, "-I", "-S", checkout(tmp_path), *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, said in result.stdout + result.stderr) == (code, True), result
    assert not (tmp_path / ".venv").exists()


def test_an_interruption_at_any_moment_is_no_traceback(tmp_path: Path) -> None:
    program = checkout(tmp_path)
    (tmp_path / "stack" / "venv.py").write_text("raise KeyboardInterrupt\n")
    result = subprocess.run([sys.executable, "-I", "-S", program], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (130, "\ninterrupted; the next run goes on from here\n")


def test_a_folder_that_is_no_environment_is_not_touched(tmp_path: Path, requirements: Path) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "thesis.txt").write_text("years of work")
    with pytest.raises(VenvError, match="not a virtual environment"):
        Venv(tmp_path / ".venv", requirements).ensure()
    assert (tmp_path / ".venv" / "thesis.txt").exists()


def test_without_ensurepip_the_package_to_install_is_named(tmp_path: Path, requirements: Path) -> None:
    code = (
        "import sys, importlib.util as util; find = util.find_spec\n"
        "util.find_spec = lambda name: None if name == 'ensurepip' else find(name)\n"
        "from pathlib import Path; from stack.venv import Venv\n"
        "Venv(Path(sys.argv[1]), Path(sys.argv[2])).ensure()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / ".venv"), str(requirements)]
    with ChildProcess(command, tmp_path / "log") as process:
        assert process.wait() == 1
        assert "apt-get install python3-venv" in process.log()
    assert not (tmp_path / ".venv").exists()


def test_an_interpreter_that_has_everything_is_used_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(f"pytest=={pytest.__version__}\n")
    assert has_pins(tmp_path / "requirements.txt")
    assert python_for(str(tmp_path)) == sys.executable
    assert not (tmp_path / ".venv").exists()


def test_what_only_other_interpreters_need_is_not_missed(tmp_path: Path) -> None:
    pins = f"pytest=={pytest.__version__} \\\n    --hash=sha256:00\n    # via us\n"
    (tmp_path / "requirements.txt").write_text(f"{pins}no-such-thing==1.0 ; python_full_version < '3.11.3'\n")
    assert has_pins(tmp_path / "requirements.txt")


def test_a_package_whose_hash_is_another_one_is_not_installed(tmp_path: Path, wheel: Path) -> None:
    (tmp_path / "requirements.txt").write_text(f"tiny-thing @ file://{wheel} --hash=sha256:{'0' * 64}\n")
    venv = venv_in(tmp_path)
    with pytest.raises(VenvError, match="DO NOT MATCH THE HASHES"):
        venv.ensure()
    assert not venv.is_current()


def test_an_installed_distribution_needs_no_environment(tmp_path: Path) -> None:
    assert python_for(str(tmp_path)) == sys.executable


def test_another_version_is_not_everything(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("pytest==0.1\n")
    assert not has_pins(tmp_path / "requirements.txt")


def test_the_command_tells_an_old_interpreter_what_it_needs(tmp_path: Path) -> None:
    code = (
        "import sys, runpy; sys.version_info = (3, 9, 2); sys.argv = ['deploy_extended.py']\n"
        f"runpy.run_path({str(REPOSITORY / 'deploy_extended.py')!r}, run_name='__main__')\n"
    )
    with ChildProcess([sys.executable, "-c", code], tmp_path / "log") as process:
        assert process.wait() == 1
        assert "swarmfn needs Python 3.11 or newer" in process.log()
