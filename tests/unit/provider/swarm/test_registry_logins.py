"""Which login at which registry goes with a function."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swarmfn.provider.swarm.deployed import Deployed
from swarmfn.provider.swarm.registry_logins import NOBODY, RegistryLogins, own_login, registry_of
from swarmfn.wire.errors import SettingsError
from swarmfn.wire.functions import FunctionSpec

ADDRESS = "registry.example.org:5000"
IMAGE = f"{ADDRESS}/team/echo:1"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def decoded(login: str) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(login)))


def logins(registry: str = ADDRESS, user: str = "operator:pa:ss wörd") -> RegistryLogins:
    return RegistryLogins({registry: {"auth": encoded(user)}})


def deployed(image: str, has_own_login: bool = False) -> Deployed:
    return Deployed(FunctionSpec("f", image), "id", "f", 1, "", 60.0, (), has_own_login=has_own_login)


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        (IMAGE, ADDRESS),
        (IMAGE + "@sha256:" + "0" * 64, ADDRESS),
        ("localhost/echo", "localhost"),
        ("user/echo:1", "docker.io"),
        ("echo", "docker.io"),
        ("sha256:" + "0" * 64, "docker.io"),
    ],
)
def test_an_image_names_its_registry(image: str, registry: str) -> None:
    assert registry_of(image) == registry


def test_a_login_is_for_the_images_of_its_registry_alone() -> None:
    found = decoded(logins().login_for(IMAGE))
    assert (found["username"], found["password"], found["serveraddress"]) == ("operator", "pa:ss wörd", ADDRESS)
    assert logins().login_for("user/echo:1") == ""
    assert logins().login_for(IMAGE.replace("5000", "5001")) == ""
    assert RegistryLogins().login_for(IMAGE) == ""


def test_the_public_registry_has_two_names() -> None:
    assert decoded(logins("https://index.docker.io/v1/").login_for("user/echo:1"))["username"] == "operator"
    assert logins("https://index.docker.io/v1/").login_for(IMAGE) == ""


def test_a_token_stands_for_a_password(tmp_path: Path) -> None:
    path = tmp_path / "registry-logins"
    path.write_text(json.dumps({"auths": {ADDRESS: {"identitytoken": "t0ken"}}, "credsStore": "unknown"}))
    assert decoded(RegistryLogins.from_file(path).login_for(IMAGE)) == {"IdentityToken": "t0ken"}


def test_without_a_file_there_are_no_logins(tmp_path: Path) -> None:
    assert RegistryLogins.from_file(tmp_path / "registry-logins").login_for(IMAGE) == ""


@pytest.mark.parametrize(
    "text",
    [
        "s3cret",
        '"s3cret"',
        '{"auths": ["s3cret"]}',
        '{"auths": {"a": "s3cret"}}',
        '{"auths": {"a": {"auth": "s3cret"}}}',
    ],
)
def test_a_file_in_another_form_is_refused_and_not_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "registry-logins"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"config\.json") as refused:
        RegistryLogins.from_file(path)
    assert "s3cret" not in str(refused.value)


def test_a_function_may_bring_its_own() -> None:
    function = FunctionSpec("f", IMAGE, registry_auth=encoded("user:pa:ss"))
    assert decoded(own_login(function)) == {"username": "user", "password": "pa:ss", "serveraddress": ADDRESS}
    assert decoded(own_login(replace(function, image="user/echo")))["serveraddress"] == ""
    assert own_login(FunctionSpec("f", IMAGE)) == ""


def test_a_change_gives_the_operators_login_along() -> None:
    found, is_own = logins().login_after(deployed(IMAGE), IMAGE)
    assert (decoded(found)["username"], is_own) == ("operator", False)
    assert RegistryLogins().login_after(deployed(IMAGE), IMAGE) == ("", False)


def test_a_function_keeps_its_own_while_it_stays_with_the_registry() -> None:
    assert logins().login_after(deployed(IMAGE, True), IMAGE.replace(":1", ":2")) == ("", True)
    assert logins().login_after(deployed(IMAGE, True), IMAGE, "another") == ("another", True)


def test_no_registry_is_shown_the_login_at_another() -> None:
    assert logins().login_after(deployed(IMAGE, True), "example.com/echo") == (NOBODY, False)
    assert RegistryLogins().login_after(deployed(IMAGE), "example.com/echo") == (NOBODY, False)
    found, is_own = logins().login_after(deployed("example.com/echo", True), IMAGE)
    assert (decoded(found)["username"], is_own) == ("operator", False)
