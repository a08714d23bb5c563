"""Who may be connected, decided without sockets."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from gateway.connection_limiter import RESERVED, ConnectionLimiter, Slot, is_reserved_for, most_connections

HERE, THERE = "192.0.2.1", "192.0.2.2"


class Client:
    def __init__(self, is_idle: bool = False, is_answering: bool = False) -> None:
        self.is_idle = is_idle
        self.is_answering = is_answering
        self.is_shed = False

    def shed(self) -> None:
        self.is_shed = True


def arrive(limiter: ConnectionLimiter, count: int, address: str = HERE, is_idle: bool = False) -> list[Client]:
    clients = [Client(is_idle, is_answering=not is_idle) for _ in range(count)]
    assert [limiter.admit(client, address) for client in clients] == [Slot.ORDINARY] * count
    return clients


def test_one_address_sheds_its_own_oldest_idle_connection() -> None:
    limiter = ConnectionLimiter(most=100, per_client=10)
    (other,) = arrive(limiter, 1, THERE, is_idle=True)
    busy = arrive(limiter, 5)
    idle = arrive(limiter, 5, is_idle=True)
    arrive(limiter, 2, is_idle=True)
    assert [client.is_shed for client in idle] == [True, True, False, False, False]
    assert not any(client.is_shed for client in (other, *busy))
    assert (len(limiter), limiter.shed) == (11, 2)


def test_where_nobody_is_idle_a_newcomer_has_a_reserved_slot() -> None:
    now = 0.0
    limiter = ConnectionLimiter(most=100, per_client=10, clock=lambda: now)
    busy = arrive(limiter, 10)
    assert limiter.admit(Client(), HERE) is Slot.RESERVED
    arrive(limiter, 1, THERE)
    busy[0].is_idle = True
    now = 1.0
    assert limiter.admit(Client(), HERE) is Slot.ORDINARY
    assert busy[0].is_shed


def test_where_nobody_was_idle_nobody_is_looked_at_again_for_a_moment() -> None:
    now = 0.0
    limiter = ConnectionLimiter(most=100, per_client=10, clock=lambda: now)
    busy = arrive(limiter, 10)
    assert limiter.admit(Client(), HERE) is Slot.RESERVED
    busy[0].is_idle = True
    now = 0.099
    assert limiter.admit(Client(), HERE) is Slot.RESERVED
    assert not busy[0].is_shed
    now = 0.101
    assert limiter.admit(Client(), HERE) is Slot.ORDINARY
    # Where somebody was idle, the next one is looked for at once.
    busy[1].is_idle = True
    assert limiter.admit(Client(), HERE) is Slot.ORDINARY


def test_all_together_have_a_limit_too() -> None:
    limiter = ConnectionLimiter(most=20, per_client=10)
    arrive(limiter, 10, "192.0.2.10")
    (idle, *_) = arrive(limiter, 10, "192.0.2.11", is_idle=True)
    arrive(limiter, 1, THERE)
    assert idle.is_shed


def test_of_the_reserved_slots_the_oldest_that_says_nothing_is_shed() -> None:
    limiter = ConnectionLimiter(most=4, per_client=2)
    arrive(limiter, 2)
    silent = Client()
    assert limiter.admit(silent, HERE) is Slot.RESERVED
    answering = [Client(is_answering=True) for _ in range(RESERVED - 1)]
    assert {limiter.admit(client, HERE) for client in answering} == {Slot.RESERVED}
    assert limiter.admit(Client(is_answering=True), HERE) is Slot.RESERVED
    assert silent.is_shed
    assert limiter.admit(Client(), HERE) is Slot.NONE
    limiter.leave(answering[0])
    limiter.leave(answering[0])
    assert limiter.admit(Client(), HERE) is Slot.RESERVED


def test_who_leaves_makes_room() -> None:
    limiter = ConnectionLimiter(most=100, per_client=10)
    for client in arrive(limiter, 10):
        limiter.leave(client)
    assert len(limiter) == 0
    arrive(limiter, 10)


def test_a_trusted_proxy_speaks_for_many_and_a_site_of_ipv6_is_one() -> None:
    limiter = ConnectionLimiter(most=100, per_client=2, trusted=(ip_network("10.0.0.0/8"),))
    arrive(limiter, 20, "10.1.1.1")
    arrive(limiter, 1, "2001:db8::1")
    arrive(limiter, 1, "2001:db8::2")
    assert limiter.admit(Client(), "2001:db8::3") is Slot.RESERVED
    assert limiter.admit(Client(), "2001:db8:0:1::3") is Slot.ORDINARY


def test_there_are_no_more_than_descriptors_and_memory_allow() -> None:
    assert most_connections(65_536, 1 << 40) == 32_640
    assert most_connections(65_536, 512 << 20) == 8192
    assert most_connections(1024, 512 << 20) == 384


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/healthz", True),
        ("/system/functions", True),
        ("/ui/", True),
        ("/function/a", False),
        ("/async-function/a", False),
    ],
)
def test_reserved_slots_serve_health_checks_and_management(path: str, expected: bool) -> None:
    assert is_reserved_for(path) is expected
