"""GET /system/info, /system/namespaces, and what is not there."""

from __future__ import annotations

import pytest

from swarmfn import __version__
from tests.support.gateway import GatewayProcess


def test_info_has_the_shape_that_clients_read(gateway: GatewayProcess) -> None:
    info = gateway.get("/system/info")
    assert info.status_code == 200
    document = info.json()
    assert document["provider"]["orchestration"] == "local"
    assert document["provider"]["provider"] == "swarmfn-local"
    for version in (document["version"], document["provider"]["version"]):
        assert version == {"sha": "", "release": __version__}
    assert isinstance(document["arch"], str)


def test_what_is_open_is_said(gateway: GatewayProcess) -> None:
    warnings = gateway.get("/system/warnings").json()
    assert any("callback_guard is off" in warning for warning in warnings)
    assert not any("basic_auth" in warning for warning in warnings)


def test_there_is_one_namespace(gateway: GatewayProcess) -> None:
    response = gateway.get("/system/namespaces")
    assert (response.status_code, response.json()) == (200, ["openfaas-fn"])


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_namespaces_cannot_be_changed(gateway: GatewayProcess, method: str) -> None:
    response = gateway.request(method, "/system/namespace/mine", json={"name": "mine"})
    assert response.status_code == 501
    assert "openfaas-fn" in response.text


@pytest.mark.parametrize("path", ["/system", "/system/", "/system/nothing", "/system/function/", "/nothing"])
def test_unknown_routes_are_a_404_of_the_platform(gateway: GatewayProcess, path: str) -> None:
    response = gateway.get(path)
    assert response.status_code == 404
    assert response.headers["X-OpenFaaS-Internal"] == "gateway"
    assert path in response.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", "/system/functions", {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"}),
        ("POST", "/system/function/echo", {"GET", "HEAD", "OPTIONS"}),
        ("GET", "/system/scale-function/echo", {"POST", "OPTIONS"}),
        ("DELETE", "/system/info", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_a_405_that_names_the_right_ones(
    gateway: GatewayProcess, method: str, path: str, allowed: set[str]
) -> None:
    response = gateway.request(method, path)
    assert response.status_code == 405
    assert {word.strip() for word in response.headers["Allow"].split(",")} == allowed


def test_a_client_that_asks_for_json_gets_problems_as_json(gateway: GatewayProcess) -> None:
    response = gateway.get("/system/function/missing", headers={"Accept": "application/json"})
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == {
        "error": 'no function "missing" is deployed here.',
        "hint": "List them with GET /system/functions.",
    }


def test_other_clients_get_problems_as_one_line_of_text(gateway: GatewayProcess) -> None:
    response = gateway.get("/system/function/missing")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.text == 'no function "missing" is deployed here. List them with GET /system/functions.\n'
