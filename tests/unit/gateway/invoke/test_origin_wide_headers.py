"""Headers by which a browser would act on the whole origin, decided on values."""

from __future__ import annotations

import pytest

from gateway.invoke import forwarding
from gateway.invoke.incoming import Incoming, RawHeaders


def answer(*headers: tuple[bytes, bytes], name: str = "shop", path: str = "/cart") -> RawHeaders:
    """What reaches the client of a function's own `headers`."""
    incoming = Incoming("GET", name, path, "", [], 0, "192.0.2.1")
    return forwarding.to_client(list(headers), incoming, "id")[:-4]


def cookie(value: bytes, name: str = "shop", path: str = "/cart") -> bytes:
    [(_, sent)] = answer((b"Set-Cookie", value), name=name, path=path)
    return sent


def test_an_answer_is_sandboxed_beside_the_policy_of_the_function() -> None:
    own = (b"content-security-policy", b"img-src 'self'")
    incoming = Incoming("GET", "shop", "", "", [], 0, "192.0.2.1")
    assert forwarding.to_client([own], incoming, "id")[:2] == [
        own,
        (b"Content-Security-Policy", b"sandbox allow-forms allow-scripts"),
    ]


@pytest.mark.parametrize(
    "name",
    [
        b"Clear-Site-Data",
        b"Strict-Transport-Security",
        b"ALT-SVC",
        b"Service-Worker-Allowed",
        b"Report-To",
        b"NEL",
        b"Public-Key-Pins",
        b"Set-Login",
    ],
)
def test_what_is_about_the_whole_origin_stays_behind(name: bytes) -> None:
    assert answer((name, b"x"), (b"X-Kept", b"1")) == [(b"X-Kept", b"1")]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (b"a=1; Path=/", b"a=1; Path=/function/shop"),
        (b"a=1; path = /system ;Secure", b"a=1;Secure; Path=/function/shop"),
        (b"a=1; Path=/function/shopping", b"a=1; Path=/function/shop"),
        (b"a=1; Path=", b"a=1; Path=/function/shop"),
        (b"a=1; Path=/function/shop; Path=/", b"a=1; Path=/function/shop"),
        (b"a=1; Path=/function/shop/cart; HttpOnly", b"a=1; HttpOnly; Path=/function/shop/cart"),
        (b"a=1; Domain=example.com; SameSite=Lax", b"a=1; SameSite=Lax"),
        (b"a=b; DOMAIN = .example.com; PATH=/x", b"a=b; Path=/function/shop"),
        (b"a=1", b"a=1"),
        (b"", b""),
    ],
)
def test_a_cookie_is_for_its_function_alone(given: bytes, sent: bytes) -> None:
    assert cookie(given) == sent


def test_a_cookie_without_a_path_is_not_for_the_folder_of_all_functions() -> None:
    assert cookie(b"a=1", path="") == b"a=1; Path=/function/shop"
    assert cookie(b"a=1", path="/") == b"a=1"


def test_a_cookie_follows_the_name_that_was_called() -> None:
    assert cookie(b"a=1; Path=/", name="shop.openfaas-fn") == b"a=1; Path=/function/shop.openfaas-fn"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (b'Basic realm="Restricted"', b'Basic realm="shop"'),
        (b"Basic realm=Restricted", b'Basic realm="shop"'),
        (b'BASIC REALM = "restricted", charset="UTF-8"', b'BASIC realm="shop", charset="UTF-8"'),
        (b'Basic realm="Re\\stricted"', b'Basic realm="shop"'),
        (b'Bearer, Basic realm="Restricted', b'Bearer, Basic realm="shop"'),
        (b'Basic realm="mine"', b'Basic realm="mine"'),
        (b"Negotiate", b"Negotiate"),
    ],
)
def test_a_challenge_does_not_ask_in_the_gateways_name(given: bytes, sent: bytes) -> None:
    assert answer((b"WWW-Authenticate", given)) == [(b"WWW-Authenticate", sent)]
