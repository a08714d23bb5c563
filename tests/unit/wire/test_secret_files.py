"""Reading secret files."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmfn.private_files import write_private
from swarmfn.wire.secret_files import SecretFile, read_secret, redis_passwords


@pytest.mark.parametrize(
    ("content", "secret"),
    [("plain\n", "plain"), ("blank at the end \r\n", "blank at the end "), (" \"q' \\n ünï\t", " \"q' \\n ünï\t")],
)
def test_all_but_the_line_break_at_the_end_is_the_secret(tmp_path: Path, content: str, secret: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content.encode())
    assert read_secret(path) == secret


@pytest.mark.parametrize("content", [b"hush\nhush", b"hush\0", b"hush\xff"])
def test_what_cannot_be_a_password_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="it ") as refusal:
        read_secret(path)
    assert "hush" not in str(refusal.value)


def test_a_file_that_is_replaced_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    secret = SecretFile(tmp_path, "secret")
    assert secret.value() is None
    write_private(path, "one")
    assert secret.value() == "one"
    write_private(path, "two")
    assert secret.value() == "two"
    path.write_bytes(b"un\nusable")
    assert secret.value() == "two"
    path.unlink()
    assert secret.value() is None


def test_redis_may_be_given_the_new_password_between_two_attempts() -> None:
    assert redis_passwords("new", "old") == ["new", "old", "new"]
    assert redis_passwords("new", None) == ["new"]
    assert redis_passwords("", "old") == ["old"]
    assert redis_passwords(None, None) == []
