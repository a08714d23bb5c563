"""Where the login at the stack's registry comes from: Docker's own configuration, or the helper that it names."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from stack.errors import StackError
from stack.swarm.registry_logins import has_login, logins_for

HOST = "registry.example.org:5000"
HELPER = """\
#!/bin/sh
read registry
if [ "$registry" != registry.example.org:5000 ]; then
    echo "credentials not found in native keychain"
    exit 1
fi
echo '{"ServerURL": "registry.example.org:5000", "Username": "%s", "Secret": "s3cret"}'
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of Docker's configuration, and on PATH."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def configure(folder: Path, **document: Any) -> None:
    (folder / "config.json").write_text(json.dumps(document))


def add_helper(folder: Path, user: str) -> None:
    program = folder / "docker-credential-tried"
    program.write_text(HELPER % user)
    program.chmod(0o755)


@pytest.fixture
def make_client() -> Iterator[Any]:
    """Of no engine: none is asked."""
    made: list[docker.DockerClient] = []

    def make() -> docker.DockerClient:
        made.append(docker.DockerClient(base_url="tcp://127.0.0.1:9", version="1.41"))
        return made[-1]

    yield make
    for client in made:
        client.close()


def auths(text: str) -> dict[str, Any]:
    return dict(json.loads(text)["auths"])


def test_the_login_of_docker_login(folder: Path, make_client: Any) -> None:
    login = base64.b64encode("user:pä:ss".encode()).decode()
    configure(folder, auths={HOST: {"auth": login}, "example.com": {"auth": login}})
    client = make_client()
    # No other than the registry's.
    assert auths(logins_for(client, f"{HOST}/team")) == {HOST: {"auth": login}}
    assert auths(logins_for(client, f"{HOST}/")) == {HOST: {"auth": login}}
    assert auths(logins_for(client, "elsewhere.example.com")) == {}
    assert auths(logins_for(client, "")) == {}
    assert has_login(client, ["redis:7", f"{HOST}/team/swarmfn:1"])
    assert not has_login(client, ["redis:7", "sha256:00"])


def test_nobody_is_logged_in(folder: Path, make_client: Any) -> None:
    assert auths(logins_for(make_client(), HOST)) == {}


@pytest.mark.parametrize("setting", [{"credsStore": "tried"}, {"credHelpers": {HOST: "tried"}}])
def test_a_helper_knows_the_password(folder: Path, make_client: Any, setting: dict[str, Any]) -> None:
    configure(folder, auths={HOST: {}}, **setting)
    add_helper(folder, "user")
    expected = base64.b64encode(b"user:s3cret").decode()
    assert auths(logins_for(make_client(), HOST)) == {HOST: {"auth": expected}}
    assert auths(logins_for(make_client(), "example.com")) == {}


def test_a_helper_knows_a_token(folder: Path, make_client: Any) -> None:
    configure(folder, credsStore="tried")
    add_helper(folder, "<token>")
    assert auths(logins_for(make_client(), HOST)) == {HOST: {"identitytoken": "s3cret"}}


def test_a_helper_that_is_not_there_is_named(folder: Path, make_client: Any) -> None:
    configure(folder, credsStore="missing")
    with pytest.raises(StackError, match=f"cannot log in at {HOST}: .*docker-credential-missing"):
        logins_for(make_client(), HOST)
