"""Failed logins and who they are from, decided on values."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from gateway.api.failed_logins import BURST, EVERY, FailedLogins
from gateway.invoke.clients import neighbourhood, through_proxies

PROXIES = (ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48"))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_free_and_then_one_failure_each_few_seconds() -> None:
    clock = Clock()
    logins = FailedLogins(clock)
    assert [logins.failed("192.0.2.1") for _ in range(BURST)] == [0.0] * BURST
    assert logins.failed("192.0.2.1") == EVERY
    clock.now += EVERY - 1
    assert logins.failed("192.0.2.1") == 1.0
    clock.now += 1
    assert logins.failed("192.0.2.1") == 0.0
    assert logins.failed("192.0.2.1") == EVERY
    clock.now += BURST * EVERY
    assert [logins.failed("192.0.2.1") for _ in range(BURST)] == [0.0] * BURST


def test_addresses_have_nothing_to_do_with_each_other() -> None:
    logins = FailedLogins(Clock())
    for _ in range(BURST + 1):
        logins.failed("192.0.2.1")
    assert logins.failed("192.0.2.2") == 0.0
    assert logins.failed("192.0.2.1") > 0


def test_what_is_remembered_is_bounded() -> None:
    logins = FailedLogins(Clock())
    for number in range(10_050):
        logins.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(logins._full_at) == 10_000
    assert logins.collect()[0].samples[0].value == 10_050


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8:2:3:4::5", "2001:db8:2:3::/64"),
        ("odd", "odd"),
    ],
)
def test_a_network_of_ipv6_counts_as_one(address: str, key: str) -> None:
    assert neighbourhood(address) == key


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["203.0.113.5"], "192.0.2.1"),
        ("10.0.0.1", ["203.0.113.5"], "203.0.113.5"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.5 , 10.9.9.9"], "203.0.113.5"),
        ("10.0.0.1", ["198.51.100.1", "203.0.113.5", "10.9.9.9"], "203.0.113.5"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["203.0.113.5, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.5:4711"], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["2001:db8:2::7"], "2001:db8:2::7"),
        ("2001:db8:1::1%eth0", ["203.0.113.5"], "203.0.113.5"),
        ("", ["203.0.113.5"], ""),
    ],
)
def test_only_proxies_that_are_trusted_are_believed(peer: str, forwarded_for: list[str], client: str) -> None:
    assert through_proxies(peer, forwarded_for, PROXIES) == client
