"""Functions that do not start, fall ill, or leave processes behind."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from swarmfn.provider.local import LocalProvider
from swarmfn.provider.local.decisions import Timing
from swarmfn.provider.local.definitions import Definition
from swarmfn.provider.local.launcher import Launched, Launcher
from tests.contract.provider.calls import Answer, InBackground, call, call_function, wait_for_replicas
from tests.contract.provider.local_engine import TIMING, LocalEngine
from tests.support.processes import is_running
from tests.support.waiting import wait_until


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[LocalEngine]:
    """Waits half a second for a start, and soon says so."""
    yield from _engine(tmp_path, replace(TIMING, start_limit=0.5, first_word=0.1))


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[LocalEngine]:
    """Waits an hour before it tries again what has failed."""
    yield from _engine(tmp_path, replace(TIMING, min_backoff=3600.0, max_backoff=3600.0))


@pytest.fixture
def watchful(tmp_path: Path) -> Iterator[LocalEngine]:
    """Soon sees that a replica does not answer."""
    yield from _engine(tmp_path, replace(TIMING, probe_timeout=0.5, health_interval=0.1))


def _engine(root: Path, timing: Timing) -> Iterator[LocalEngine]:
    engine = LocalEngine(root, timing)
    yield engine
    engine.destroy()


def test_a_function_that_crashes_at_start_names_status_and_last_line(
    engine: LocalEngine, provider: LocalProvider
) -> None:
    provider.deploy(engine.handler("broken", "import no_such_module\n"))
    wait_until(lambda: provider.table()["broken"].problem.startswith("exited with status "))
    assert "No module named 'no_such_module'" in provider.table()["broken"].problem


def test_a_function_that_crashes_at_start_is_tried_again_until_it_works(
    engine: LocalEngine, provider: LocalProvider
) -> None:
    function = engine.handler("later", "open('ready').read()\ndef handle(req):\n    return 'at last'\n")
    provider.deploy(function)
    wait_until(lambda: "ready" in provider.table()["later"].problem)
    (Path(function.image.removeprefix("dir:")) / "ready").write_text("")
    assert call_function(engine, "later").body == "at last"
    assert provider.table()["later"].problem == ""


@pytest.mark.parametrize("how", ["another definition", "the same one again"])
def test_a_function_that_keeps_failing_is_tried_at_once_when_it_is_updated(
    patient: LocalEngine, tmp_path: Path, how: str
) -> None:
    """By itself it would be tried again in an hour."""
    provider, ready = patient.provider, tmp_path / "ready"
    function = patient.handler("later", f"open({str(ready)!r}).read()\ndef handle(req):\n    return 'at last'\n")
    provider.deploy(function)
    wait_until(lambda: "ready" in provider.table()["later"].problem)
    ready.touch()
    provider.update(replace(function, env_vars={"changed": "yes"}) if how == "another definition" else function)
    assert call_function(patient, "later").body == "at last"


def test_a_failure_that_nobody_foresaw_is_the_functions_problem_and_logged_once(
    engine: LocalEngine, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    starts = iter(range(3))

    def launch(launcher: Launcher, definition: Definition, number: int) -> Launched:
        if next(starts, None) is not None:
            raise RuntimeError("can't start new thread")
        return original(launcher, definition, number)

    original = Launcher.launch
    monkeypatch.setattr(Launcher, "launch", launch)
    provider.deploy(engine.handler("late", "def handle(req):\n    return 'at last'\n"))
    problem = "cannot be looked after: RuntimeError: can't start new thread"
    wait_until(lambda: provider.table()["late"].problem == problem)
    assert call_function(engine, "late").body == "at last"
    assert provider.table()["late"].problem == ""
    assert [record.exc_info is None for record in caplog.records if "looking after" in record.getMessage()] == [False]


@pytest.mark.parametrize("what", ["logs/functions/gone.1.log", "run/replicas/*.json"], ids=["log", "record"])
def test_what_cannot_be_deleted_is_said_once_and_keeps_nothing_else_waiting(
    engine: LocalEngine, provider: LocalProvider, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    provider.deploy(engine.echo("gone"))
    wait_for_replicas(provider, "gone", 1)
    (path,) = engine.state_dir.glob(what)
    path.unlink()
    path.mkdir()  # which no unlink takes away
    provider.remove("gone")

    def said() -> list[str]:
        return [sentence for sentence in provider.shortcomings() if "deleting what functions left fails" in sentence]

    wait_until(lambda: any(", 3 times so far" in sentence for sentence in said()))
    provider.deploy(engine.echo("echo"))
    assert call_function(engine, "echo", "fine").body == "fine"
    path.rmdir()
    wait_until(lambda: not said())
    lines = [record.getMessage() for record in caplog.records if "deleting what functions left" in record.getMessage()]
    assert [path.name in lines[0], "no longer fails" in lines[1], len(lines)] == [True, True, 2], lines


def test_a_function_that_never_gets_healthy_is_killed_and_says_so(impatient: LocalEngine) -> None:
    provider = impatient.provider
    provider.deploy(impatient.handler("slow", "import time\nprint('thinking', flush=True)\ntime.sleep(600)\n"))
    wait_until(lambda: "not healthy 0.5 s after its start" in provider.table()["slow"].problem)


def test_a_function_that_says_it_starts_slowly_is_waited_for(impatient: LocalEngine) -> None:
    provider = impatient.provider
    source = "import time\ntime.sleep(1.5)\ndef handle(req):\n    return 'up'\n"
    function = impatient.handler("slow", source)
    provider.deploy(replace(function, annotations={"com.openfaas.health.http.initialDelay": "1s"}))
    said = "a replica has been getting ready for 0.4 s, and may take 61 s"
    wait_until(lambda: provider.table()["slow"].problem == said)
    assert call_function(impatient, "slow").body == "up"
    assert provider.table()["slow"].problem == ""


def test_a_replica_that_stops_answering_is_replaced(watchful: LocalEngine) -> None:
    provider = watchful.provider
    provider.deploy(watchful.identifying("who"))
    pid = watchful.replica_pid("who")
    (address,) = provider.table()["who"].addresses
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: address not in provider.table()["who"].addresses)
        wait_until(lambda: watchful.replica_pid("who") != pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_commands_of_a_killed_replica_are_ended_too(engine: LocalEngine, provider: LocalProvider) -> None:
    function = engine.script("who", "cat > /dev/null; echo $$ > pid; exec sleep 600")
    provider.deploy(function)
    (address,) = wait_for_replicas(provider, "who", 1)

    def interrupted() -> Answer | OSError:
        try:
            return call(engine, address)
        except OSError as exc:
            return exc

    caller = InBackground(interrupted)
    pid_file = Path(function.image.removeprefix("dir:")) / "pid"
    command = int(wait_until(lambda: pid_file.exists() and pid_file.read_text().strip()))
    watchdog = int(Path(f"/proc/{command}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(watchdog, signal.SIGKILL)
    caller.result()
    wait_until(lambda: not is_running(command))


def test_a_crash_loop_of_one_function_leaves_others_alone(engine: LocalEngine, provider: LocalProvider) -> None:
    provider.deploy(engine.crashing("broken"))
    provider.deploy(engine.echo("echo"))
    wait_until(lambda: provider.table()["broken"].problem)
    assert call_function(engine, "echo", "fine").body == "fine"
