"""Hosts and ports as text."""

from __future__ import annotations

import pytest

from swarmfn.wire.addresses import check_engine_address, parse_host, split_address

HOSTS = [
    ("0.0.0.0", "0.0.0.0"),
    ("localhost", "localhost"),
    ("::1", "::1"),
    ("[::1]", "::1"),
    ("bücher.de", "bücher.de"),
]


@pytest.mark.parametrize(("text", "host"), HOSTS)
def test_a_host(text: str, host: str) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize("text", ["", "a b", "a/b", "u@h", "a..b", "-a", "h:1", "[h]", "[", "::::", "1:2:3"])
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_host(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [("echo:8080", ("echo", 8080)), ("[::1]:1", ("::1", 1)), ("[fe80::1%eth0]:65535", ("fe80::1%eth0", 65535))],
)
def test_an_address(text: str, address: tuple[str, int]) -> None:
    assert split_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "echo", "echo:", ":1", "echo:0", "echo:65536", "echo:+1", "::1:80", "[::1]", "a:1:2"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|port"):
        split_address(text)


@pytest.mark.parametrize(("text", "address"), [("h", ("h", 5)), ("h:6", ("h", 6)), ("[::1]", ("::1", 5))])
def test_a_port_may_have_a_default(text: str, address: tuple[str, int]) -> None:
    assert split_address(text, 5) == address


@pytest.mark.parametrize(
    "text", ["unix:///run/d.sock", "tcp://h:2375", "tcp://h", "ssh://me@h", "h:2375", "https://[::1]:1"]
)
def test_where_an_engine_may_listen(text: str) -> None:
    check_engine_address(text)


@pytest.mark.parametrize("text", ["http//x", "unix://", "h", "tcp://h:x", "ftp://h:1", "tcp://"])
def test_where_no_engine_listens(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        check_engine_address(text)
