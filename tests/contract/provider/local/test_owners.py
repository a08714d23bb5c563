"""Replicas and the processes that look after them: killed owners, adoption, orphans, strangers, stopping."""

from __future__ import annotations

import functools
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from swarmfn.provider.local import LocalProvider, processes, stop_all
from swarmfn.provider.local.state_dir import StateDir
from swarmfn.wire.errors import EngineUnavailable
from tests.contract.provider.calls import Answer, InBackground, call, call_function, wait_for_replicas
from tests.contract.provider.local_engine import LocalEngine
from tests.support.processes import ChildProcess, is_running
from tests.support.waiting import wait_until

OWNER = Path(__file__).with_name("owner.py")


def marked_pids(state_dir: Path) -> set[int]:
    return {pid for pid, mark in processes.marked() if mark.owner == StateDir(state_dir).owner}


@pytest.fixture
def state_dir(engine: LocalEngine) -> Path:
    """The engine's, given up by its provider, with the folder that owner.py deploys beside it."""
    engine.provider.close()
    folder = engine.state_dir.parent / "who"
    folder.mkdir()
    (folder / "run.sh").write_text("#!/bin/sh\necho $PPID\n")
    (folder / "run.sh").chmod(0o755)
    return engine.state_dir


def owner(state_dir: Path, manner: str) -> ChildProcess:
    return ChildProcess([sys.executable, OWNER, state_dir, manner], state_dir.parent / "owner.log")


def test_replicas_survive_a_killed_owner_and_are_adopted(engine: LocalEngine, state_dir: Path) -> None:
    with owner(state_dir, "calm") as child:
        child.wait_for_log("ready")
        child.kill()
    (pid,) = marked_pids(state_dir)
    again = engine.open()
    engine.provider = again
    assert len(again.table()["who"].addresses) == 1
    assert engine.replica_pid("who") == pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: engine.replica_pid("who") != pid)


def test_whenever_the_owner_is_killed_the_next_one_finds_everything(engine: LocalEngine, state_dir: Path) -> None:
    chance = random.Random(20)
    for _ in range(5):
        with owner(state_dir, "restless") as child:
            child.wait_for_log("ready")
            # Not a wait for something: the moment of death is what varies.
            time.sleep(chance.uniform(0, 0.7))
            child.kill()
        child.log_path.unlink()
        _check_next_owner(engine)


def _check_next_owner(engine: LocalEngine) -> None:
    provider = engine.open()
    try:
        # Killed between `remove` and `deploy`, it may have left no function.
        wanted = provider.get("who").replicas if provider.functions() else 0

        def is_settled() -> bool:
            addresses = provider.table()["who"].addresses if wanted else ()
            pids = {int(call(engine, address).body) for address in addresses}
            assert len(pids) == wanted
            assert marked_pids(engine.state_dir) == pids, _told(engine.state_dir)
            return True

        wait_until(is_settled, timeout=30, message="every wanted replica, and no other process")
    finally:
        provider.close()


def _told(state_dir: Path) -> str:
    """What there is to know when it does not settle."""
    known = [(record["process"]["pid"], record["phase"]) for record in recorded(state_dir)]
    return f"recorded: {known}, marked: {list(processes.marked())}"


def recorded(state_dir: Path) -> list[dict[str, Any]]:
    """An owner that was killed may have left half of another one beside them."""
    return [json.loads(path.read_text()) for path in (state_dir / "run" / "replicas").glob("*.json")]


def test_half_a_record_that_a_killed_owner_left_is_taken_away(
    engine: LocalEngine, provider: LocalProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.deploy(engine.identifying("who"))
    pid = engine.replica_pid("who")
    provider.close()
    (record,) = (engine.state_dir / "run" / "replicas").iterdir()
    half = record.with_name("0123456789abcdef.json.new")
    half.write_text(record.read_text()[:30])
    engine.reopen()
    assert engine.replica_pid("who") == pid
    assert not half.exists()
    assert "cannot be read" not in caplog.text


def test_a_replica_that_was_not_written_down_is_ended(engine: LocalEngine, provider: LocalProvider) -> None:
    provider.deploy(engine.identifying("who"))
    pid = engine.replica_pid("who")
    provider.close()
    for record in (engine.state_dir / "run" / "replicas").iterdir():
        record.unlink()
    engine.reopen()
    wait_until(lambda: not is_running(pid))
    assert engine.replica_pid("who") != pid


def test_a_process_with_a_recorded_pid_but_another_start_time_is_left_alone(
    engine: LocalEngine, provider: LocalProvider, tmp_path: Path
) -> None:
    provider.deploy(engine.identifying("who"))
    wait_for_replicas(provider, "who", 1)
    provider.close()
    with ChildProcess(["sleep", "600"], tmp_path / "stranger.log") as stranger:
        (record,) = (engine.state_dir / "run" / "replicas").iterdir()
        document = json.loads(record.read_text())
        document["process"]["pid"] = stranger.pid
        record.write_text(json.dumps(document))
        again = engine.reopen()
        wait_for_replicas(again, "who", 1)
        again.remove("who")
        again.close()
        stop_all(engine.state_dir, timeout=5)
        assert is_running(stranger.pid)


def test_two_providers_never_share_a_state_directory(engine: LocalEngine, provider: LocalProvider) -> None:
    with pytest.raises(EngineUnavailable, match=f"looked after by process {os.getpid()}"):
        engine.open()
    provider.deploy(engine.echo("echo"))
    assert call_function(engine, "echo", "unharmed").body == "unharmed"


def test_a_closed_provider_changes_nothing(engine: LocalEngine, provider: LocalProvider) -> None:
    provider.close()
    provider.close()
    with pytest.raises(EngineUnavailable):
        provider.deploy(engine.echo("echo"))


def test_a_replica_told_to_stop_by_a_killed_owner_is_not_taken_back(
    engine: LocalEngine, provider: LocalProvider
) -> None:
    """Of two replicas one is draining when the owner goes: the next owner keeps the other."""
    provider.deploy(engine.script("nap", "sleep 600"))
    provider.scale("nap", 2)
    addresses = wait_for_replicas(provider, "nap", 2)
    naps = [InBackground(functools.partial(_interrupted, engine, address)) for address in addresses]
    provider.scale("nap", 1)
    wait_until(lambda: any(record["phase"] == "stopping" for record in recorded(engine.state_dir)))
    kept = provider.table()["nap"].addresses
    again = engine.reopen()
    assert again.table()["nap"].addresses == kept
    engine.destroy()
    for nap in naps:
        nap.result()


def _interrupted(engine: LocalEngine, address: str) -> Answer | OSError:
    """A call that ends with the test."""
    try:
        return call(engine, address, timeout=120)
    except OSError as exc:
        return exc


def test_stop_all_stops_what_a_killed_owner_left_and_keeps_definitions(engine: LocalEngine, state_dir: Path) -> None:
    with owner(state_dir, "calm") as child:
        child.wait_for_log("ready")
        child.kill()
    stop_all(state_dir, timeout=10)
    assert marked_pids(state_dir) == set()
    assert list((state_dir / "run" / "replicas").iterdir()) == []
    engine.provider = engine.open()
    assert call_function(engine, "who").status == 200


def test_stop_all_lets_calls_finish(engine: LocalEngine, provider: LocalProvider) -> None:
    provider.deploy(engine.script("nap", "touch running; sleep $(cat); echo awake"))
    (address,) = wait_for_replicas(provider, "nap", 1)
    nap = InBackground(lambda: call(engine, address, "1"))
    folder = Path(provider.get("nap").spec.image.removeprefix("dir:"))
    wait_until((folder / "running").exists)
    provider.close()
    stop_all(engine.state_dir, timeout=20)
    assert nap.result().body == "awake"


def test_stop_all_kills_what_does_not_stop_in_time(engine: LocalEngine, provider: LocalProvider) -> None:
    provider.deploy(engine.script("nap", "touch running; sleep 600"))
    (address,) = wait_for_replicas(provider, "nap", 1)
    nap = InBackground(lambda: _interrupted(engine, address))
    folder = Path(provider.get("nap").spec.image.removeprefix("dir:"))
    wait_until((folder / "running").exists)
    provider.close()
    stop_all(engine.state_dir, timeout=0.2)
    nap.result()
    wait_until(lambda: marked_pids(engine.state_dir) == set())


def test_stop_all_refuses_while_a_provider_is_there(engine: LocalEngine, provider: LocalProvider) -> None:
    with pytest.raises(EngineUnavailable):
        stop_all(engine.state_dir, timeout=1)


def test_stop_all_of_nothing_makes_nothing(tmp_path: Path) -> None:
    stop_all(tmp_path / "never", timeout=1)
    assert not (tmp_path / "never").exists()
