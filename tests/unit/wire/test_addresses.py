"""Hosts and ports as text."""

from __future__ import annotations

import socket

import pytest

from swarmfn.wire.addresses import (
    as_url,
    family_of,
    is_ip_address,
    join_address,
    parse_engine_address,
    parse_host,
    split_address,
)

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


@pytest.mark.parametrize("address", ["echo:8080", "127.0.0.1:80", "[::1]:1", "[fe80::1%eth0]:65535"])
def test_host_and_port_make_the_address_they_came_from(address: str) -> None:
    assert join_address(*split_address(address)) == address


def test_hosts_that_are_addresses() -> None:
    assert [host for host in ("127.0.0.1", "::1", "localhost", "1.2.3", "[::1]", "") if is_ip_address(host)] == [
        "127.0.0.1",
        "::1",
    ]
    assert family_of("::") == socket.AF_INET6
    assert family_of("0.0.0.0") == socket.AF_INET


def test_an_address_is_a_url_once_it_says_how() -> None:
    assert as_url("gateway:8080") == "http://gateway:8080"
    assert as_url("https://gateway.example") == "https://gateway.example"


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("unix:///run/d.sock", ""),
        ("npipe:////./pipe/docker_engine", ""),
        ("tcp://h:2375", "h"),
        ("tcp://h", "h"),
        ("ssh://me@h", "h"),
        ("h:2375", "h"),
        ("https://[::1]:1", "::1"),
    ],
)
def test_where_an_engine_may_listen(text: str, host: str) -> None:
    assert parse_engine_address(text) == host


@pytest.mark.parametrize("text", ["http//x", "unix://", "h", "tcp://h:x", "ftp://h:1", "tcp://"])
def test_where_no_engine_listens(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_engine_address(text)
