"""Which headers may travel on."""

from __future__ import annotations

import pytest

from swarmfn.wire.headers import CREDENTIALS, HOP_BY_HOP, end_to_end, first


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_hop_by_hop_headers_are_dropped_whatever_their_case(name: str) -> None:
    kept = ("X-Call-Id", "7")
    assert end_to_end([(name, "x"), kept, (name.upper(), "x"), (name.title(), "x")]) == [kept]


def test_headers_named_by_connection_are_dropped() -> None:
    headers = [
        ("X-Hop", "1"),
        ("Connection", "close, X-HOP"),
        ("Connection", " x-other "),
        ("x-other", "2"),
        ("X-End", "3"),
    ]
    assert end_to_end(headers) == [("X-End", "3")]


def test_order_and_repetition_are_kept() -> None:
    headers = [("Set-Cookie", "a=1"), ("X-B", "2"), ("Set-Cookie", "c=3")]
    assert end_to_end(headers) == headers


def test_an_iterator_is_enough() -> None:
    assert end_to_end(iter([("Connection", "X-Hop"), ("X-Hop", "1"), ("X-End", "2")])) == [("X-End", "2")]


def test_one_requests_connection_header_does_not_change_the_next() -> None:
    end_to_end([("Connection", "X-Hop")])
    assert end_to_end([("X-Hop", "1")]) == [("X-Hop", "1")]


def test_the_first_value_of_a_header_is_found_without_regard_to_case() -> None:
    headers = [("x-call-id", "1"), ("X-Call-Id", "2"), ("X-Empty", "")]
    assert first(headers, "X-CALL-ID") == "1"
    assert first(headers, "x-empty") == ""
    assert first(headers, "x-missing") is None


def test_credentials_are_named_in_the_form_they_are_compared_in() -> None:
    assert {name.lower() for name in CREDENTIALS} == CREDENTIALS
    assert "authorization" in CREDENTIALS
