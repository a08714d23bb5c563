"""Where callbacks may go."""

from __future__ import annotations

import pytest

from swarmfn.wire.callback_guard import LISTED, PRIVATE, CallbackGuard, parse_guard, read_guard
from swarmfn.wire.environment import Environment
from swarmfn.wire.errors import SettingsError

NOT_PUBLIC = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "fec0::1",
    "feff::1",
    "3fff::1",
    "192.0.0.192",
    "192.88.99.1",
    "168.63.129.16",
    "::ffff:192.0.0.192",
    "64:ff9b::10.0.0.1",
    "64:ff9b::7f00:1",
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1"]


@pytest.mark.parametrize("address", [*NOT_PUBLIC, *PUBLIC])
def test_without_a_guard_they_go_anywhere(address: str) -> None:
    assert CallbackGuard().permits(address)
    assert CallbackGuard().trusts(address, 80)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not parse_guard(PRIVATE, "").permits(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_one_is_not_unless_only_what_is_listed_may_be(address: str) -> None:
    assert parse_guard(PRIVATE, "").permits(address)
    assert not parse_guard(LISTED, "").permits(address)


@pytest.mark.parametrize("address", ["not-an-address", "", "1.2.3", "0x7f000001"])
def test_what_is_no_address_is_refused(address: str) -> None:
    assert not parse_guard(PRIVATE, "0.0.0.0/0, ::/0").permits(address)


@pytest.mark.parametrize("mode", [PRIVATE, LISTED])
def test_listed_networks_and_addresses_are_allowed(mode: str) -> None:
    guard = parse_guard(mode, "10.1.0.0/16, 192.168.1.7 ,fd00::/8")
    assert [guard.permits(address) for address in ("10.1.2.3", "::ffff:10.1.2.3", "192.168.1.7", "fd00::1")] == [
        True
    ] * 4
    assert [guard.permits(address) for address in ("10.2.0.1", "192.168.1.8", "fc00::1")] == [False] * 3
    assert not guard.trusts("10.1.2.3", 80)


@pytest.mark.parametrize("mode", [PRIVATE, LISTED])
def test_listed_names_are_trusted_whatever_they_resolve_to(mode: str) -> None:
    guard = parse_guard(mode, "Hooks.example.com, *.internal.example, my_service")
    trusted = ["hooks.example.com", "HOOKS.EXAMPLE.COM.", "a.internal.example", "a.b.internal.example", "my_service"]
    assert all(guard.trusts(name, 443) for name in trusted)
    others = [
        "example.com",
        "x.hooks.example.com",
        "internal.example",
        "notinternal.example",
        "internal.example.evil.com",
        "",
    ]
    assert not any(guard.trusts(name, 443) for name in others)


@pytest.mark.parametrize("mode", [PRIVATE, LISTED])
def test_this_platforms_own_gateway_is_always_allowed_at_its_port(mode: str) -> None:
    guard = parse_guard(mode, "", frozenset({"Other:80", "[FD00::1]:8080"}))
    assert guard.trusts("gateway", 8080)
    assert guard.trusts("GATEWAY", 8080)
    assert guard.trusts("other", 80)
    assert guard.trusts("fd00::1", 8080)
    assert guard.is_in_stack("fd00::1", 8080)
    # In DNS that is another name, which the worker does not know as its own.
    assert not guard.trusts("gateway.", 8080)
    assert not guard.trusts("gateway", 6379)
    assert not guard.trusts("redis", 6379)


@pytest.mark.parametrize("allowed", ["http://x/", "a b", "*", "*.", "a.*.b", "10.0.0.0/99", "ex:80", "ä", "x" * 300])
def test_settings_that_cannot_be_used_are_named(allowed: str) -> None:
    env = Environment({"callback_guard": "private", "callback_allow": allowed})
    read_guard(env)
    with pytest.raises(SettingsError, match="callback_allow"):
        env.finish()


def test_the_mode_is_one_of_three() -> None:
    env = Environment({"callback_guard": "on"})
    read_guard(env)
    with pytest.raises(SettingsError, match="off, private, listed"):
        env.finish()
