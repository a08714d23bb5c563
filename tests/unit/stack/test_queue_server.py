"""Which server reads what another one has written."""

from __future__ import annotations

import pytest

from stack.queue_server import QueueServer, can_read, server_of


def server(text: str) -> QueueServer:
    return QueueServer(*text.split())


@pytest.mark.parametrize(
    ("reader", "writer", "is_read"),
    [
        ("Redis 7.0.15", "Redis 7.0.11", True),
        ("Redis 7.0.11", "Redis 7.0.15", True),
        ("Redis 7.4.1", "Redis 7.0.15", True),
        ("Redis 7.0.15", "Redis 7.2.4", False),
        ("Valkey 9.1.2", "Valkey 9.0.0", True),
        ("Valkey 8.1.0", "Valkey 9.1.2", False),
        # One format, as long as it is the common one and the reader knows it.
        ("Valkey 9.1.2", "Redis 7.0.15", True),
        ("Valkey 9.1.2", "Redis 7.2.4", True),
        ("Valkey 9.1.2", "Redis 7.4.0", False),
        ("Valkey 9.1.2", "Redis 8.0.0", False),
        ("Redis 7.2.4", "Valkey 8.1.0", True),
        ("Redis 7.0.15", "Valkey 8.1.0", False),
        ("Redis 7.0.15", "Valkey 9.1.2", False),
        ("Redis 8.2.0", "Valkey 9.1.2", False),
        # What is not known is not tried on somebody's data.
        ("Valkey 9.1.2", "Redis what", False),
        ("KeyDB 6.3.4", "Redis 7.0.15", False),
    ],
)
def test_a_server_reads_what_has_its_own_format_or_an_older_one(reader: str, writer: str, is_read: bool) -> None:
    assert can_read(server(reader), server(writer)) is is_read


def test_servers_say_their_name_and_version() -> None:
    redis = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d7c971a948f0\n"
    valkey = "Valkey server v=9.1.2 sha=00000000:1 malloc=libc bits=64 build=1536df31c0395150\n"
    assert server_of(redis) == QueueServer("Redis", "7.0.15")
    assert server_of(valkey) == QueueServer("Valkey", "9.1.2")
    assert server_of("nginx version: nginx/1.22.1\n") is None
