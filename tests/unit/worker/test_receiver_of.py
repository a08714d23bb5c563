"""Where a callback goes, by its URL."""

from __future__ import annotations

import pytest

from worker.deliveries import receiver_of


@pytest.mark.parametrize(
    ("url", "address", "host"),
    [
        ("http://a.example/x", "a.example:80", "a.example"),
        ("https://a.example/x", "a.example:443", "a.example"),
        ("https://a.example:8443/x", "a.example:8443", "a.example:8443"),
        ("http://[2001:db8::1]/x", "[2001:db8::1]:80", "[2001:db8::1]"),
        ("https://user:pw@a.example/x", "a.example:443", "a.example"),
    ],
)
def test_the_port_is_the_schemes_own_unless_the_url_has_one(url: str, address: str, host: str) -> None:
    receiver = receiver_of(url, {})
    assert (receiver.address, receiver.host) == (address, host)
    assert receiver.is_tls == url.startswith("https")
