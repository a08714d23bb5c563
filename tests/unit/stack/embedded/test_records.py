"""What the supervisor writes down of the processes it starts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.embedded.records import Records, runs_locally
from stack.embedded.spec import ServiceSpec
from stack.state import StateDirectory
from swarmfn.process_identity import ProcessIdentity, identify_child

SPEC = ServiceSpec("worker", ("sleep", "60"), "/", "/dev/null", {"a": "b"}, 5.0, "1")


@pytest.fixture
def process() -> Iterator[ProcessIdentity]:
    with subprocess.Popen(["sleep", "60"]) as sleeping:
        yield identify_child(sleeping.pid)
        sleeping.kill()


def test_a_process_is_found_again_until_it_is_removed(tmp_path: Path, process: ProcessIdentity) -> None:
    Records(tmp_path / "services").write(SPEC, process)
    records = Records(tmp_path / "services")
    assert records.running() == [(SPEC, process)]
    records.remove("worker")
    records.remove("worker")
    assert records.running() == []


def test_records_of_processes_that_have_ended_go(tmp_path: Path, process: ProcessIdentity) -> None:
    records = Records(tmp_path)
    before = ProcessIdentity(process.pid, process.start_time - 1, process.boot_id)
    records.write(SPEC, before)
    assert records.running() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"spec": {}, "process": {}}'])
def test_damaged_records_go_and_the_others_are_read(tmp_path: Path, process: ProcessIdentity, content: str) -> None:
    records = Records(tmp_path)
    (tmp_path / "gateway.json").write_text(content)
    records.write(SPEC, process)
    assert records.running() == [(SPEC, process)]
    assert [path.name for path in tmp_path.iterdir()] == ["worker.json"]


def test_a_stack_runs_locally_while_a_process_of_its_does(tmp_path: Path, process: ProcessIdentity) -> None:
    state = StateDirectory(tmp_path / "state")
    assert not runs_locally(state)
    state.make()
    assert not runs_locally(state)
    assert not (state.run / "services").exists()
    records = Records(state.run / "services")
    assert not runs_locally(state)
    records.write(SPEC, process)
    assert runs_locally(state)


def test_what_is_kept_is_for_its_owner_alone(tmp_path: Path, process: ProcessIdentity) -> None:
    Records(tmp_path / "a" / "services").write(SPEC, process)
    assert (tmp_path / "a" / "services").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "services" / "worker.json").stat().st_mode & 0o777 == 0o600


def test_specs_that_would_run_the_same_have_the_same_fingerprint() -> None:
    same = ServiceSpec.from_json(SPEC.to_json())
    assert (same, same.fingerprint) == (SPEC, SPEC.fingerprint)
    assert ServiceSpec.from_json({**SPEC.to_json(), "version": "2"}).fingerprint != SPEC.fingerprint
    assert ServiceSpec.from_json({**SPEC.to_json(), "environment": {}}).fingerprint != SPEC.fingerprint
