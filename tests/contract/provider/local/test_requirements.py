"""Functions with requirements.txt: an environment for each set of them, made in the background, shared.

The package comes from a folder and needs nothing to be built with: no network.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from swarmfn.provider.local import LocalProvider
from tests.contract.provider.calls import call_function
from tests.contract.provider.local_engine import LocalEngine
from tests.support.waiting import wait_until

HANDLER = "import tinypack, sys\ndef handle(req):\n    return f'{tinypack.WORD} {sys.prefix}'\n"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "tinypack-1.0-py3-none-any.whl"
    info = "tinypack-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tinypack.py", "WORD = 'packed'\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinypack\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def venvs(engine: LocalEngine) -> list[Path]:
    return list((engine.state_dir / "cache" / "venvs").iterdir())


def test_requirements_are_installed_for_the_function_alone(
    engine: LocalEngine, provider: LocalProvider, wheel: Path
) -> None:
    function = engine.handler("packed", HANDLER, **{"requirements.txt": f"{wheel}\n"})
    provider.deploy(function)
    wait_until(lambda: provider.table()["packed"].problem == "installing requirements.txt")
    wait_until(lambda: provider.table()["packed"].addresses, timeout=120)
    word, prefix = call_function(engine, "packed").body.split()
    assert word == "packed"
    assert Path(prefix).parent == engine.state_dir / "cache" / "venvs"
    assert "Successfully installed tinypack" in provider.logs("packed")


def serves(provider: LocalProvider, name: str) -> bool:
    return bool(provider.table()[name].addresses)


def test_equal_requirements_are_installed_once_and_kept(
    engine: LocalEngine, provider: LocalProvider, wheel: Path
) -> None:
    requirements = f"--no-index\n--find-links {wheel.parent}\ntinypack\n"
    function = engine.handler("one", HANDLER, **{"requirements.txt": requirements})
    provider.deploy(function)
    provider.deploy(replace(function, name="two"))
    for name in ("one", "two"):
        wait_until(functools.partial(serves, provider, name), timeout=120)
    assert len(venvs(engine)) == 1
    provider.remove("one")
    provider.remove("two")
    again = engine.reopen()
    wheel.unlink()
    again.deploy(function)
    assert call_function(engine, "one").status == 200


def test_requirements_that_cannot_be_installed_are_the_problem_named(
    engine: LocalEngine, provider: LocalProvider
) -> None:
    function = engine.handler("broken", HANDLER, **{"requirements.txt": "--no-index\nno-such-package==1\n"})
    provider.deploy(function)
    wait_until(lambda: "no-such-package" in provider.table()["broken"].problem, timeout=120)
    assert provider.table()["broken"].problem.startswith("cannot install requirements.txt: ERROR")


def test_an_update_with_new_requirements_keeps_the_old_replicas_meanwhile(
    engine: LocalEngine, provider: LocalProvider, wheel: Path
) -> None:
    provider.deploy(engine.handler("packed", "def handle(req):\n    return 'plain'\n"))
    assert call_function(engine, "packed").body == "plain"
    provider.update(engine.handler("packed", HANDLER, **{"requirements.txt": f"{wheel}\n"}))
    assert call_function(engine, "packed").body == "plain"
    wait_until(lambda: call_function(engine, "packed").body.startswith("packed"), timeout=120)


def test_an_interrupted_installation_begins_again(engine: LocalEngine, provider: LocalProvider, wheel: Path) -> None:
    function = engine.handler("packed", HANDLER, **{"requirements.txt": f"{wheel}\n"})
    provider.deploy(function)
    wait_until(lambda: venvs(engine))
    again = engine.reopen()
    wait_until(lambda: again.table()["packed"].addresses, timeout=120)
    assert call_function(engine, "packed").body.startswith("packed")
    assert again.table()["packed"].problem == ""


def test_programs_of_the_requirements_are_on_the_path_of_a_command(
    engine: LocalEngine, provider: LocalProvider, wheel: Path
) -> None:
    folder = engine.folder(
        "run", {"requirements.txt": f"{wheel}\n", "main.py": "import tinypack; print(tinypack.WORD)"}
    )
    provider.deploy(replace(engine.echo("run"), image=f"dir:{folder}", env_process="python main.py"))
    wait_until(lambda: provider.table()["run"].addresses, timeout=120)
    assert call_function(engine, "run").body == "packed"


def test_a_cache_that_was_emptied_is_filled_again(engine: LocalEngine, provider: LocalProvider) -> None:
    provider.deploy(engine.handler("plain", "import os\ndef handle(req):\n    return str(os.getppid())\n"))
    first = call_function(engine, "plain").body
    shutil.rmtree(engine.state_dir / "cache" / "venvs")
    (engine.state_dir / "cache" / "venvs").mkdir()
    os.kill(int(first), signal.SIGKILL)
    wait_until(lambda: call_function(engine, "plain").body != first)
