"""The start page in a real browser."""

from __future__ import annotations

from tests.browser.conftest import Visitor
from tests.support.gateway import GatewayProcess


def test_it_lists_the_functions_and_loads_all_it_names(visitor: Visitor, gateway: GatewayProcess) -> None:
    gateway.deploy("hello", image="example/hello:1")
    page = visitor.open("/ui/")
    assert page.console == []
    assert "hello Ready" in page.text
    assert "Replicas 1 of 1" in page.text
    assert "example/hello:1" in page.text
    gateway.remove_all()


def test_the_root_leads_there(visitor: Visitor, gateway: GatewayProcess) -> None:
    assert "<h1>Functions</h1>" in visitor.open("/").document
