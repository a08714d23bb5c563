"""Which headers travel, decided on values."""

from __future__ import annotations

import pytest

from gateway.invoke import forwarding
from gateway.invoke.incoming import Incoming, RawHeaders, split_called
from swarmfn.wire.errors import LoopDetected


def incoming(*headers: tuple[bytes, bytes]) -> Incoming:
    return Incoming("GET", "echo", "", "", list(headers), 0, "192.0.2.1", start_time=42)


def values(headers: RawHeaders, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key.lower() == name]


def test_headers_that_connection_names_stay_behind_wherever_they_stand() -> None:
    request = incoming((b"x-a", b"1"), (b"connection", b" X-A ,close"), (b"x-b", b"2"), (b"connection", b"x-b"))
    sent = forwarding.to_function(request, "id")
    assert values(sent, b"x-a") + values(sent, b"x-b") + values(sent, b"connection") == []


def test_connection_cannot_name_what_the_platform_says() -> None:
    request = incoming((b"connection", b"x-call-id, x-forwarded-for, x-start-time, host"), (b"host", b"a.example"))
    sent = forwarding.to_function(request, "id")
    assert values(sent, b"x-call-id") == [b"id"]
    assert values(sent, b"x-start-time") == [b"42"]
    assert values(sent, b"x-forwarded-for") == [b"192.0.2.1"]
    assert values(sent, b"x-forwarded-host") == [b"a.example"]


def test_a_call_that_too_many_callbacks_led_to_is_refused() -> None:
    assert values(forwarding.to_function(incoming((b"x-call-hops", b"16")), "id"), b"x-call-hops") == [b"16"]
    with pytest.raises(LoopDetected, match="17 calls in a row led to this one"):
        forwarding.to_function(incoming((b"x-call-hops", b"1"), (b"x-call-hops", b"17")), "id")
    assert forwarding.to_function(incoming((b"x-call-hops", b"17")), "id", max_hops=17)


def test_several_forwarded_for_headers_become_one_way() -> None:
    request = incoming((b"x-forwarded-for", b"198.51.100.1"), (b"x-forwarded-for", b"198.51.100.2"))
    assert values(forwarding.to_function(request, "id"), b"x-forwarded-for") == [
        b"198.51.100.1, 198.51.100.2, 192.0.2.1"
    ]


def test_the_host_that_a_proxy_names_wins_wherever_it_stands() -> None:
    for pairs in (
        [(b"host", b"inner"), (b"x-forwarded-host", b"outer")],
        [(b"x-forwarded-host", b"outer"), (b"host", b"inner")],
    ):
        assert values(forwarding.to_function(incoming(*pairs), "id"), b"x-forwarded-host") == [b"outer"]


def test_a_request_without_host_names_none() -> None:
    assert values(forwarding.to_function(incoming(), "id"), b"x-forwarded-host") == []


def test_the_clients_headers_keep_their_order_and_are_not_changed_in_place() -> None:
    headers = [(b"b", b"1"), (b"a", b"2"), (b"te", b"x"), (b"b", b"3")]
    request = incoming(*headers)
    assert forwarding.to_function(request, "id")[:3] == [(b"b", b"1"), (b"a", b"2"), (b"b", b"3")]
    assert request.headers == headers


def test_an_answers_headers_are_matched_without_regard_to_case() -> None:
    own = [
        (b"CONNECTION", b"x-SECRET"),
        (b"X-Secret", b"1"),
        (b"Keep-Alive", b"1"),
        (b"X-CALL-ID", b"other"),
        (b"A", b"b"),
    ]
    sent = forwarding.to_client(own, incoming(), "id")
    ours = [b"Content-Security-Policy", b"X-Call-Id", b"X-Start-Time", b"X-Duration-Seconds"]
    assert [name for name, _ in sent] == [b"A", *ours]
    assert values(sent, b"x-call-id") == [b"id"]


@pytest.mark.parametrize(
    ("called", "name", "rest"),
    [
        ("echo", "echo", ""),
        ("echo/", "echo", "/"),
        ("echo//a%2Fb/", "echo", "//a%2Fb/"),
        ("", "", ""),
        ("/a", "", "/a"),
    ],
)
def test_what_was_called_is_split_into_the_name_and_all_that_follows(called: str, name: str, rest: str) -> None:
    assert split_called(called) == (name, rest)
