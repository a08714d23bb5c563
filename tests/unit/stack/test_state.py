"""The state directory, credentials and locks."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from stack.credentials import make_credentials, put_in_force, read_credentials
from stack.errors import StackError
from stack.lock import exclusive
from stack.state import Settings, StateDirectory
from tests.support.waiting import wait_until


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def made(path: Path) -> StateDirectory:
    state = StateDirectory(path / "state")
    state.make()
    return state


def test_everything_is_private_to_the_user(tmp_path: Path) -> None:
    state = made(tmp_path)
    make_credentials(state)
    assert mode(state.root) == mode(state.secrets) == mode(state.run) == 0o700
    put_in_force(state)
    assert mode(state.in_force) == 0o700
    assert mode(state.credentials) == 0o600
    assert {mode(file) for folder in (state.secrets, state.in_force) for file in folder.iterdir()} == {0o600}


def test_credentials_are_made_once(tmp_path: Path) -> None:
    state = made(tmp_path)
    assert read_credentials(state) is None
    first = make_credentials(state)
    assert put_in_force(state) == []
    assert make_credentials(state) == first == read_credentials(state)
    assert state.credentials.read_text().splitlines()[0] == f"admin:{first.password}"


def test_a_changed_secret_is_what_counts_once_it_is_put_in_force(tmp_path: Path) -> None:
    state = made(tmp_path)
    first = make_credentials(state)
    put_in_force(state)
    (state.secrets / "basic-auth-password").write_text("other ")
    assert make_credentials(state).password == "other "
    assert read_credentials(state) == first
    assert state.credentials.read_text().startswith(f"admin:{first.password}\n")
    assert put_in_force(state) == ["basic-auth-password"]
    assert read_credentials(state) == make_credentials(state)
    assert state.credentials.read_text().startswith("admin:other \n")


def test_the_credentials_file_never_tells_anything_else(tmp_path: Path) -> None:
    state = made(tmp_path)
    password = make_credentials(state).password
    state.credentials.write_text("stale")
    put_in_force(state)
    state.remember(Settings(port=9))
    put_in_force(state)
    assert f"admin:{password}" in state.credentials.read_text()
    assert "http://127.0.0.1:9/" in state.credentials.read_text()


def test_a_removed_secret_is_made_anew(tmp_path: Path) -> None:
    state = made(tmp_path)
    first = make_credentials(state)
    put_in_force(state)
    (state.secrets / "redis-password").unlink()
    assert make_credentials(state).redis_password != first.redis_password


def test_settings_are_remembered(tmp_path: Path) -> None:
    state = made(tmp_path)
    assert state.settings() == Settings()
    chosen = Settings(port=9, redis_port=7, compose_files=("/a.yml", "/b.yml"))
    state.remember(chosen)
    assert state.settings() == chosen


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_damaged_settings_file_means_the_defaults(tmp_path: Path, text: str) -> None:
    state = made(tmp_path)
    (state.root / "settings.json").write_text(text)
    assert state.settings() == Settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"port": 9, "zones": 1}', "newer release: this release does not know zones"),
        ('{"port": "9"}', r"type .*\(port\)"),
        ('{"compose_files": [1]}', r"type .*\(compose_files\)"),
    ],
)
def test_settings_of_a_newer_release_are_refused(tmp_path: Path, text: str, said: str) -> None:
    state = made(tmp_path)
    (state.root / "settings.json").write_text(text)
    with pytest.raises(StackError, match=said):
        state.settings()


def test_a_directory_of_someone_else_is_neither_used_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    state = StateDirectory(tmp_path)
    for action in (state.make, state.purge):
        with pytest.raises(StackError, match="not a state directory of swarmfn"):
            action()
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_purge_removes_all_of_a_state_directory(tmp_path: Path) -> None:
    state = made(tmp_path)
    make_credentials(state)
    state.purge()
    assert list(tmp_path.iterdir()) == []
    state.purge()


def test_the_second_command_waits_for_the_first(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    said: list[str] = []
    order: list[str] = []
    release = threading.Event()

    def first() -> None:
        with exclusive(path, "up", said.append):
            order.append("first")
            release.wait(20)
            order.append("first ends")

    thread = threading.Thread(target=first)
    thread.start()
    wait_until(lambda: order)

    def let_go(line: str) -> None:
        said.append(line)
        release.set()

    with exclusive(path, "down", let_go):
        order.append("second")
    thread.join()
    assert order == ["first", "first ends", "second"]
    assert said == [f"another up is running (pid {os.getpid()}); waiting for it"]


def test_a_command_does_not_wait_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        exclusive(path, "up", print),
        pytest.raises(StackError, match="another up is still running"),
        exclusive(path, "up", print, patience=0),
    ):
        pass
