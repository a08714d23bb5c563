"""Other passwords for a stack that runs, by `up`, while it is being called."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import requests

from swarmfn.provider.local import stop_all
from tests.integration.stack.conftest import kill_all
from tests.support.http import RecordingServer
from tests.support.local_stack import Stack, deployer
from tests.support.platform import Platform
from tests.support.steady_load import SteadyLoad
from tests.support.waiting import wait_until


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack with a function `cat`."""
    stack = Stack(tmp_path)
    done = stack.up()
    assert done.returncode == 0, done.stderr
    (tmp_path / "cat").mkdir()
    (tmp_path / "stack.yml").write_text("functions: {cat: {handler: ./cat, fprocess: cat}}")
    assert deployer(stack, tmp_path / "stack.yml", [])() == (True, {})
    yield stack
    kill_all(stack.state)
    stop_all(stack.state.root, timeout=0)


def status_with(stack: Stack, password: str) -> int:
    return requests.get(f"{stack.url}/system/info", auth=("admin", password), timeout=30).status_code


def opens_redis(stack: Stack, password: str) -> bool:
    with redis.Redis(port=stack.state.settings().redis_port, password=password) as client:
        try:
            return bool(client.ping())
        except redis.AuthenticationError:
            return False


def test_all_of_them_change_while_calls_come_and_none_is_lost(stack: Stack) -> None:
    folder, platform = stack.state.secrets, Platform(stack.state.root, stack.port)
    old = {path.name: path.read_text() for path in folder.iterdir()}
    before = stack.pids()
    with SteadyLoad(platform, "cat", rate=30) as load:
        load.wait_for_calls(20)
        for name in ("basic-auth-password", "redis-password", "callback-signing-key"):
            (folder / name).write_text(f'the new "{name}" ')
        load.wait_for_calls(20)
        # Until `up` says so, nothing has changed.
        assert status_with(stack, old["basic-auth-password"]) == 200
        assert opens_redis(stack, old["redis-password"])
        assert platform.credentials == ("admin", old["basic-auth-password"])
        done = stack.up()
        assert done.returncode == 0, done.stderr
        load.wait_for_calls(20)
        assert status_with(stack, old["basic-auth-password"]) == 401
        assert not opens_redis(stack, old["redis-password"])
        assert opens_redis(stack, 'the new "redis-password" ')
        assert platform.credentials == ("admin", 'the new "basic-auth-password" ')
        assert platform.system("GET", "/system/info").status_code == 200
        assert load.refused == []
        # Now with connections that have to be opened again.
        with redis.Redis(port=stack.state.settings().redis_port, password='the new "redis-password" ') as client:
            client.client_kill_filter(_type="normal", skipme=True)
        load.wait_for_calls(20)
        load.assert_all_accepted_succeed()
    assert load.failures() == []
    assert stack.pids() == before
    assert "nothing to do" in stack.up().stdout
    with RecordingServer() as receiver:
        platform.send("cat", b"signed", callback=receiver.url)
        wait_until(lambda: receiver.received, message="the callback arrives")
    (told,) = receiver.received
    signed = (told.header("X-Callback-Timestamp") or "").encode() + b"." + told.body
    expected = hmac.new(b'the new "callback-signing-key" ', signed, "sha256").hexdigest()
    assert told.header("X-Callback-Signature") == f"sha256={expected}"


def test_an_up_that_was_interrupted_is_finished_by_the_next(stack: Stack) -> None:
    old = (stack.state.secrets / "redis-password").read_text()
    # As it leaves things when it is killed before Redis is told.
    (stack.state.in_force / "redis-password-previous").write_text(old)
    for folder in (stack.state.in_force, stack.state.secrets):
        (folder / "redis-password").write_text("second")
    (stack.state.secrets / "redis-password").write_text("third")
    done = stack.up()
    assert done.returncode == 0, done.stderr
    assert [opens_redis(stack, password) for password in (old, "second", "third")] == [False, False, True]
    assert not (stack.state.in_force / "redis-password-previous").exists()


def test_a_stack_that_is_down_starts_with_the_new_ones(stack: Stack) -> None:
    assert stack.run("down").returncode == 0
    (stack.state.secrets / "redis-password").write_text("new")
    done = stack.up()
    assert done.returncode == 0, done.stderr
    assert opens_redis(stack, "new")
