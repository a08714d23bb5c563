"""Where callback URLs lead."""

from __future__ import annotations

import pytest

from worker.deliveries import Receiver, receiver_of

ALIASES = {"gateway:8080": "127.0.0.1:9090", "plain:80": "127.0.0.1:81"}


@pytest.mark.parametrize(
    ("url", "receiver"),
    [
        ("http://host/", Receiver("host:80", "host", "/", False, "host", 80)),
        ("https://host/x?y=1", Receiver("host:443", "host", "/x?y=1", True, "host", 443)),
        ("http://host:8080", Receiver("host:8080", "host:8080", "/", False, "host", 8080)),
        ("http://[::1]:81/", Receiver("[::1]:81", "[::1]:81", "/", False, "::1", 81)),
        (
            "http://Gateway:8080/function/b",
            Receiver("127.0.0.1:9090", "Gateway:8080", "/function/b", False, "gateway", 8080),
        ),
        ("http://plain/", Receiver("127.0.0.1:81", "plain", "/", False, "plain", 80)),
        ("http://gateway:8081/", Receiver("gateway:8081", "gateway:8081", "/", False, "gateway", 8081)),
        ("http://user:pw@host/", Receiver("host:80", "host", "/", False, "host", 80)),
        ("http://host/#part", Receiver("host:80", "host", "/", False, "host", 80)),
    ],
)
def test_a_callback_url_names_a_receiver(url: str, receiver: Receiver) -> None:
    assert receiver_of(url, ALIASES) == receiver


@pytest.mark.parametrize("url", ["", "host", "ftp://host/", "http://", "http:///x", "http://host:99999/", "http://[x/"])
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        receiver_of(url, ALIASES)
