"""Definitions and records on disk."""

from __future__ import annotations

import json
import logging
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from swarmfn.process_identity import ProcessIdentity
from swarmfn.provider.local.decisions import Phase
from swarmfn.provider.local.definitions import Definition, DefinitionStore
from swarmfn.provider.local.function_programs import Program
from swarmfn.provider.local.records import Record, RecordStore
from swarmfn.provider.local.state_dir import Lock, StateDir
from swarmfn.wire.errors import EngineUnavailable
from swarmfn.wire.functions import FunctionSpec


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state")


def definition(name: str = "echo") -> Definition:
    function = FunctionSpec(name, "x", env_process="cat", env_vars={"password": "hidden"}, labels={"a": "b"})
    return Definition.new(function, Program(command="cat", image_env={"c": "d"}))


def test_a_definition_is_read_back_equal(state: StateDir) -> None:
    stored = definition()
    DefinitionStore(state).save(stored)
    assert DefinitionStore(state).load() == {"echo": stored}


def test_definitions_are_for_their_owner_only(state: StateDir) -> None:
    DefinitionStore(state).save(definition())
    path = state.functions / "echo" / "spec.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.functions.stat().st_mode) == 0o700


def test_the_password_of_a_registry_is_not_stored(state: StateDir) -> None:
    stored = definition()
    with_password = replace(stored.function, registry_auth="c2VjcmV0")
    for saved in (Definition.new(with_password, stored.program), stored.updated(with_password, stored.program)):
        DefinitionStore(state).save(saved)
        assert "c2VjcmV0" not in (state.functions / "echo" / "spec.json").read_text()


def test_a_password_that_an_earlier_version_stored_is_taken_out(state: StateDir) -> None:
    stored = definition()
    with_password = replace(stored, function=replace(stored.function, registry_auth="c2VjcmV0"))
    DefinitionStore(state).save(with_password)
    path = state.functions / "echo" / "spec.json"
    assert "c2VjcmV0" in path.read_text()
    assert DefinitionStore(state).load() == {"echo": stored}
    assert "c2VjcmV0" not in path.read_text()


def test_a_deleted_definition_is_gone_and_leaves_nothing_once_cleaned(state: StateDir) -> None:
    store = DefinitionStore(state)
    store.save(definition())
    store.delete("echo")
    assert store.load() == {}
    assert store.leftovers() == {"echo"}
    store.clean("echo")
    assert list(state.functions.iterdir()) == []


def test_cleaning_leaves_a_function_alone_that_is_deployed_again(state: StateDir) -> None:
    store = DefinitionStore(state)
    store.save(definition())
    store.clean("echo")
    assert set(store.load()) == {"echo"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"function": {}}', b'{"function": {"service": "a"}}'])
def test_an_unreadable_definition_is_reported_and_the_others_are_read(
    state: StateDir, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store = DefinitionStore(state)
    store.save(definition())
    (state.functions / "bad").mkdir()
    (state.functions / "bad" / "spec.json").write_bytes(content)
    with caplog.at_level(logging.ERROR):
        assert set(store.load()) == {"echo"}
    assert "bad/spec.json" in caplog.text
    assert store.leftovers() == set()


def test_a_half_written_definition_is_not_seen(state: StateDir) -> None:
    store = DefinitionStore(state)
    store.save(definition())
    (state.functions / "echo" / "spec.json.new").write_text("{")
    assert set(store.load()) == {"echo"}


def record(replica_id: str = "1f") -> Record:
    return Record(replica_id, "echo", 1, ProcessIdentity(10, 20, "boot"), 4000, "r", "", 5.0, Phase.READY)


def test_a_record_is_read_back_equal(state: StateDir) -> None:
    store = RecordStore(state)
    store.save(record())
    assert store.load() == [record()]
    store.delete("1f")
    assert store.load() == []


def test_a_record_keeps_its_form_so_that_the_next_release_adopts_the_replica(state: StateDir) -> None:
    (state.records / "1f.json").write_text(
        '{"id": "1f", "name": "echo", "number": 1, "process": {"pid": 10, "start_time": 20, "boot": "boot"}, '
        '"port": 4000, "revision": "r", "venv": "", "drain": 5.0, "phase": "ready"}'
    )
    written = (state.records / "1f.json").read_text()
    store = RecordStore(state)
    assert store.load() == [record()]
    store.save(record())
    assert (state.records / "1f.json").read_text() == written


def test_an_unreadable_record_is_dropped(state: StateDir) -> None:
    store = RecordStore(state)
    store.save(record("ok"))
    (state.records / "torn.json").write_text(json.dumps({"id": "torn"}))
    assert store.load() == [record("ok")]
    assert not (state.records / "torn.json").exists()


def test_a_state_directory_has_one_user_at_a_time(state: StateDir) -> None:
    lock = Lock(state)
    with pytest.raises(EngineUnavailable, match=r"looked after by process \d+"):
        Lock(state)
    lock.release()
    Lock(state).release()


def test_a_state_directory_that_cannot_be_made_is_an_engine_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineUnavailable, match="state directory"):
        StateDir(tmp_path / "file" / "state")
