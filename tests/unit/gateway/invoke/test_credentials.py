"""Which headers tell the gateway's own credentials."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from gateway.invoke.credentials import Credentials, MountedCredentials
from swarmfn.private_files import write_private

OWN = Credentials("admin", "ö/only~for?tests>>")
RIGHT = f"{OWN.user}:{OWN.password}".encode()
ENCODED = base64.b64encode(RIGHT)


def basic(login: str) -> str:
    return f"Basic {base64.b64encode(login.encode()).decode()}"


@pytest.mark.parametrize(
    "header",
    [
        b"Basic " + ENCODED,
        b"bAsIc\t  " + ENCODED + b" \t",
        b"Basic " + ENCODED.rstrip(b"="),
        b"Basic " + ENCODED.rstrip(b"=") + b"====",
        b"Basic " + base64.urlsafe_b64encode(RIGHT),
        b"Basic " + base64.b64encode(RIGHT.decode().encode("latin-1")),
        b"Basic " + ENCODED[:9] + b" " + ENCODED[9:],
        b"Bearer x, Basic " + ENCODED,
        b"Basic eDp5,Basic " + ENCODED + b",Basic eDp6",
        b"Bearer " + ENCODED,
        b"Basic" + b"," + ENCODED,
        ENCODED,
        b"Basic " + RIGHT,
        b"Bearer " + OWN.password.encode(),
        OWN.password.encode(),
        b"Basic " + b"a," * 5000 + ENCODED,
    ],
)
def test_the_credentials_are_told_in_whatever_form(header: bytes) -> None:
    assert OWN.are_told_by(header)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Basic",
        b"Basic ",
        b"Basic eDp5",
        b"Basic " + base64.b64encode(RIGHT + b"x"),
        b"Basic " + base64.b64encode(RIGHT[:-1]),
        b"Bearer of-the-function",
        b"Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        b"AWS4-HMAC-SHA256 Credential=AK/2026/r/s/aws4_request, SignedHeaders=host;x-amz-date, Signature=fe5f80f7",
        b"\xff\xfe \xff",
    ],
)
def test_other_credentials_are_the_functions_business(header: bytes) -> None:
    assert not OWN.are_told_by(header)


def test_only_the_exact_form_opens() -> None:
    assert OWN.let_in("Basic " + ENCODED.decode())
    assert not OWN.let_in("Basic " + base64.urlsafe_b64encode(RIGHT).decode())
    assert not OWN.let_in("Bearer " + ENCODED.decode())


def test_the_password_is_not_in_what_python_prints() -> None:
    assert OWN.password not in repr(OWN)


def test_mounted_credentials_are_those_of_the_files_as_they_are_now(tmp_path: Path) -> None:
    (tmp_path / "basic-auth-user").write_text("admin")
    (tmp_path / "basic-auth-password").write_text("old")
    mounted = MountedCredentials(str(tmp_path), "admin", "old")
    assert mounted.let_in(basic("admin:old"))
    write_private(tmp_path / "basic-auth-password", "new")
    assert not mounted.let_in(basic("admin:old"))
    assert mounted.let_in(basic("admin:new"))
    assert mounted.are_told_by(basic("admin:new").encode())
    assert not mounted.are_told_by(basic("admin:old").encode())
    (tmp_path / "basic-auth-password").write_text("")
    assert mounted.let_in(basic("admin:new"))


def test_new_credentials_are_told_before_anybody_was_let_in_with_them(tmp_path: Path) -> None:
    (tmp_path / "basic-auth-user").write_text("admin")
    (tmp_path / "basic-auth-password").write_text("old")
    mounted = MountedCredentials(str(tmp_path), "admin", "old")
    write_private(tmp_path / "basic-auth-password", "new")
    assert mounted.are_told_by(basic("admin:new").encode())
