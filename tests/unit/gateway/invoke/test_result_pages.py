"""Stored results as a browser sees them."""

from __future__ import annotations

import pytest

from gateway.invoke.result_pages import guarded


@pytest.mark.parametrize(
    "kind", ["application/json", "Text/Plain ; charset=utf-8", "image/png", "application/problem+json"]
)
def test_data_can_be_looked_at(kind: str) -> None:
    assert "Content-Disposition" not in dict(guarded([("content-type", kind)], "shop"))


@pytest.mark.parametrize(
    "kinds",
    [
        [],
        [""],
        ["image/"],
        ["text/html"],
        ["text/plainer"],
        ["image/svg+xml"],
        ["IMAGE/SVG+XML; a=b"],
        ["application/xhtml+xml"],
        ["text/plain, text/html"],
        ["text/plain", "text/html"],
        ["text/html; application/json"],
    ],
)
def test_what_may_be_a_page_is_a_download(kinds: list[str]) -> None:
    own = [("Content-Type", kind) for kind in kinds] + [("content-disposition", "inline")]
    assert [v for n, v in guarded(own, "shop") if n.lower() == "content-disposition"] == ["attachment"]


def test_each_result_is_sandboxed_beside_the_policy_of_the_function() -> None:
    own = [("Content-Security-Policy", "img-src x"), ("cache-control", "public"), ("X-Content-Type-Options", "no")]
    assert guarded([*own, ("Content-Type", "image/png")], "shop") == [
        ("Content-Security-Policy", "img-src x"),
        ("Content-Type", "image/png"),
        ("Content-Security-Policy", "sandbox"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
    ]


def test_no_result_speaks_for_the_whole_origin() -> None:
    own = [("Clear-Site-Data", '"*"'), ("www-authenticate", 'Basic realm="Restricted"')]
    headers = guarded([*own, ("Content-Type", "text/plain")], "shop")
    assert headers[:2] == [("www-authenticate", 'Basic realm="shop"'), ("Content-Type", "text/plain")]
