"""Who may use what."""

from __future__ import annotations

import base64
import itertools
import re
import time
from pathlib import Path

import pytest
import requests

from tests.support.gateway import DATA_PLANES, PASSWORD, USER, GatewayProcess
from tests.support.redis_server import RedisServer

CLOSED = [
    ("GET", "/"),
    ("GET", "/ui/"),
    ("GET", "/ui/rq/"),
    ("GET", "/ui/static/ui.css"),
    ("GET", "/ui/rq/static/css/main.css"),
    ("POST", "/ui/rq/requeue/echo"),
    ("GET", "/metrics"),
    ("GET", "/system/info"),
    ("GET", "/system/functions"),
    ("POST", "/system/functions"),
    ("DELETE", "/system/functions"),
    ("POST", "/system/scale-function/echo"),
    ("GET", "/nothing/here"),
    ("OPTIONS", "/system/functions"),
    ("HEAD", "/system/functions"),
    ("GET", "//system/functions"),
    ("GET", "//function/../system/functions"),
    ("GET", "/functions/echo"),
]


def basic(credentials: bytes) -> str:
    return "Basic " + base64.b64encode(credentials).decode()


NUMBERS = itertools.count(1)
RIGHT = f"{USER}:{PASSWORD}".encode()


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_whatever_is_not_open_asks_for_credentials(gateway: GatewayProcess, method: str, path: str) -> None:
    response = gateway.request(method, path, auth=None)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Basic realm="Restricted"'


@pytest.mark.parametrize("path", ["/healthz", "/function/missing", "/async-function/missing"])
def test_calls_and_health_are_open(gateway: GatewayProcess, path: str) -> None:
    response = gateway.get(path, auth=None)
    assert response.status_code == (200 if path == "/healthz" else 404)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YQ",
        "Basic " + "A" * 5000,
        basic(b""),
        basic(b"no colon"),
        basic(b":"),
        basic(USER.encode()),
        basic(USER.encode() + b":"),
        basic(b"admin:wrong"),
        basic(b"Admin" + RIGHT[5:]),
        basic(RIGHT + b" "),
        basic(RIGHT[:-1]),
        basic(b"\xff\xfe:\xff"),
        basic(f"{USER}:{PASSWORD}".encode("latin-1")),
        "Bearer " + basic(RIGHT)[6:],
        basic(RIGHT)[6:],
        "Digest username=admin",
        "Bäsic x".encode("latin-1").decode("latin-1"),
    ],
)
def test_wrong_or_odd_credentials_are_a_401_and_never_an_error(gateway: GatewayProcess, header: str) -> None:
    headers = {"Authorization": header.encode("latin-1"), "X-Forwarded-For": f"198.51.100.{next(NUMBERS)}"}
    response = gateway.get("/system/functions", auth=None, headers=headers)
    assert response.status_code == 401
    assert PASSWORD not in response.text


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_the_right_credentials_open_whatever_the_case_of_the_scheme(gateway: GatewayProcess, scheme: str) -> None:
    headers = {"Authorization": scheme + basic(RIGHT)[5:]}
    assert gateway.get("/system/functions", auth=None, headers=headers).status_code == 200


def test_the_password_is_in_no_log(gateway: GatewayProcess) -> None:
    gateway.get("/system/functions")
    gateway.get("/system/functions", headers={"Authorization": basic(RIGHT + b"x")}, auth=None)
    assert PASSWORD not in gateway.log()
    assert basic(RIGHT)[6:20] not in gateway.log()


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site", "Origin": "{own}"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/system/functions"), ("DELETE", "/system/functions"), ("POST", "/ui/rq/requeue/a")]
)
def test_a_change_sent_by_another_sites_page_is_refused(
    gateway: GatewayProcess, method: str, path: str, headers: dict[str, str]
) -> None:
    sent = {name: value.replace("{own}", gateway.url) for name, value in headers.items()}
    response = gateway.request(method, path, data='{"service": "a", "image": "b", "envProcess": "cat"}', headers=sent)
    assert response.status_code == 403
    assert gateway.get("/system/functions").json() == []


@pytest.mark.parametrize("headers", [{}, {"Origin": "{own}"}, {"Sec-Fetch-Site": "same-origin"}])
def test_a_change_from_a_command_or_an_own_page_passes(gateway: GatewayProcess, headers: dict[str, str]) -> None:
    sent = {name: value.replace("{own}", gateway.url) for name, value in headers.items()}
    body = '{"service": "a", "image": "b", "envProcess": "cat"}'
    assert gateway.post("/system/functions", data=body, headers=sent).status_code == 202


def test_functions_may_be_called_from_pages_of_any_site(gateway: GatewayProcess) -> None:
    gateway.deploy("echo")
    response = gateway.post("/function/echo", data=b"hi", auth=None, headers={"Origin": "http://shop.example"})
    assert (response.status_code, response.content) == (200, b"hi")


def fail_to_log_in(gateway: GatewayProcess, forwarded_for: str) -> requests.Response:
    headers = {"Authorization": basic(b"admin:guess"), "X-Forwarded-For": forwarded_for}
    return gateway.get("/system/info", auth=None, headers=headers)


@pytest.mark.parametrize(
    ("one", "other"), [("203.0.113.1", "203.0.113.2"), ("2001:db8:2:3::{n:x}", "2001:db8:2:4::{n:x}")]
)
def test_who_fails_again_and_again_is_told_to_wait_and_nobody_else_is(
    gateway: GatewayProcess, one: str, other: str
) -> None:
    # What a client claims itself stands on the left, and changes nothing.
    began = time.monotonic()
    answers = [fail_to_log_in(gateway, f"192.0.2.{n}, {one.format(n=n)}, 2001:db8:1::1") for n in range(30)]
    codes = [answer.status_code for answer in answers]
    assert (codes[:20], codes[-1]) == ([401] * 20, 429)
    # One more every three seconds, if it has taken that long.
    assert codes.count(401) <= 20 + (time.monotonic() - began) / 3
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 4
    assert gateway.get("/system/info", headers={"X-Forwarded-For": one.format(n=1)}).status_code == 200
    assert fail_to_log_in(gateway, other.format(n=1)).status_code == 401
    told = gateway.log().count(f"client={one.format(n=0).removesuffix('::0')}")
    assert told - codes.count(401) in (0, 1)
    assert float(re.findall(r"^gateway_failed_logins_total (\S+)", gateway.get("/metrics").text, re.M)[0]) >= 31


def test_a_client_cannot_pass_itself_off_as_another(gateway: GatewayProcess) -> None:
    headers = {"Authorization": basic(b"admin:guess"), "X-Swarmfn-Peer": "x 203.0.113.9"}
    assert gateway.get("/system/info", auth=None, headers=headers).status_code == 401
    assert "client=203.0.113.9" not in gateway.log()
    assert "a login failed, from 127.0.0.1" in gateway.log()


def test_each_change_leaves_a_line_that_tells_who_what_and_from_where(gateway: GatewayProcess) -> None:
    gateway.deploy("noted")
    changes = [
        ("POST", "/system/scale-function/noted", {"serviceName": "noted", "replicas": 0}),
        ("DELETE", "/system/functions", {"functionName": "noted"}),
        ("DELETE", "/system/functions", {"functionName": "noted\nchange by=nobody"}),
        ("POST", "/system/invocations/redrive", {"state": "failed"}),
        ("POST", "/system/nothing", {}),
    ]
    for method, path, body in changes:
        gateway.request(method, path, json=body, headers={"X-Forwarded-For": "203.0.113.77"})
    gateway.get("/system/functions", headers={"X-Forwarded-For": "203.0.113.77"})
    lines = [line for line in gateway.log().splitlines() if "client=203.0.113.77" in line]
    found = [re.search(r"user=(\S+) method=(\S+) path=(\S+) about=(\S*) .*status=(\d+)", line) for line in lines]
    assert [match and match.groups() for match in found[:2]] == [
        (USER, "POST", "/system/scale-function/noted", "noted", "202"),
        (USER, "DELETE", "/system/functions", "noted", "202"),
    ]
    assert len(lines) == len(changes)
    assert r"about=noted\nchange by=nobody" in lines[2]
    assert [line.rpartition("status=")[2] for line in lines[2:]] == ["404]", "400]", "404]"]


@pytest.mark.parametrize("data_plane", DATA_PLANES)
def test_basic_auth_off_opens_everything_but_not_to_other_sites(
    redis_server: RedisServer, tmp_path: Path, data_plane: str
) -> None:
    with GatewayProcess(
        tmp_path, redis_server.address, redis_server.password, data_plane, basic_auth="false"
    ) as gateway:
        for path in ("/system/functions", "/ui/", "/ui/rq/", "/metrics"):
            assert gateway.get(path, auth=None).status_code == 200
        body, evil = '{"service": "a", "image": "b", "envProcess": "cat"}', {"Origin": "http://evil.example"}
        assert gateway.post("/system/functions", auth=None, data=body, headers=evil).status_code == 403
        assert gateway.post("/system/functions", auth=None, data=body).status_code == 202
