"""management_port: the public port serves calls and /healthz, the management port everything."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from tests.support.gateway import PASSWORD, USER, GatewayProcess
from tests.support.invocation_stage import InvocationStage
from tests.support.processes import free_port
from tests.support.raw_http import Answer, RawClient
from tests.support.redis_server import RedisServer
from tests.support.staged_replica import Exchange

CREDENTIALS = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SANDBOX = "sandbox allow-forms allow-scripts"


@pytest.fixture(scope="module")
def divided(
    data_plane: str, tmp_path_factory: pytest.TempPathFactory, redis_process: RedisServer
) -> Iterator[InvocationStage]:
    """A gateway with a management port; `stage` is a trusted site, `cat` is not."""
    directory = tmp_path_factory.mktemp(f"divided-{data_plane}")
    port = str(free_port())
    site = {"com.swarmfn.site": "trusted"}
    with InvocationStage(directory, redis_process, data_plane, site, management_port=port) as stage:
        yield stage


def ask(gateway: GatewayProcess, port: int, method: str, target: str, **headers: str) -> Answer:
    with RawClient(f"127.0.0.1:{port}") as client:
        client.request(method, target, list(headers.items()))
        return client.answer(method)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"),
        ("GET", "/ui/"),
        ("GET", "/ui/rq/"),
        ("GET", "/metrics"),
        ("GET", "/system/functions"),
        ("POST", "/system/functions"),
        ("GET", "//system/functions"),
        ("GET", "/%73ystem/functions"),
        ("GET", "http://localhost/system/info"),
        ("GET", "/function%2F..%2Fsystem/info"),
        ("GET", "/nothing/here"),
    ],
)
def test_the_public_port_has_no_management(divided: InvocationStage, method: str, target: str) -> None:
    gateway = divided.gateway
    answer = ask(gateway, gateway.port, method, target, Authorization=CREDENTIALS)
    assert (answer.status, answer.header("X-OpenFaaS-Internal")) == (404, "gateway")
    assert answer.all("WWW-Authenticate") == []


def test_the_public_port_asks_for_no_body_that_is_for_management(divided: InvocationStage) -> None:
    with divided.client() as client:
        length = [("Content-Length", str(600 * 2**20)), ("Expect", "100-continue"), ("Authorization", CREDENTIALS)]
        client.request("POST", "/system/functions", length)
        head = client.head()
    assert (head.status, head.header("X-OpenFaaS-Internal")) == (404, "gateway")
    changes = divided.gateway.log().count("event=change")
    refused = ask(divided.gateway, divided.gateway.port, "DELETE", "/system/functions", Authorization=CREDENTIALS)
    assert refused.status == 404
    assert divided.gateway.log().count("event=change") == changes


def test_the_management_port_serves_everything(divided: InvocationStage) -> None:
    gateway = divided.gateway
    assert gateway.get("/system/info").status_code == 200
    assert gateway.get("/system/info", auth=None).status_code == 401
    assert gateway.get("/healthz", auth=None).status_code == 200
    assert gateway.post("/function/cat", data=b"x").content == b"x"
    assert gateway.post("/async-function/cat", data=b"x").status_code == 202


def test_calls_and_what_is_asked_about_them_are_served_on_the_public_port(divided: InvocationStage) -> None:
    port = divided.gateway.port
    assert ask(divided.gateway, port, "GET", "/healthz").status == 200
    assert divided.call("POST", "/function/cat", body=b"x").body == b"x"
    accepted = divided.call("POST", "/async-function/cat", body=b"x")
    assert accepted.status == 202
    location = accepted.header("Location")
    assert location is not None
    assert divided.call("GET", location).status == 200
    assert divided.call("GET", location + "/result").status == 202
    assert divided.call("DELETE", location).status == 202


def test_a_trusted_site_has_the_public_port_to_itself_and_no_other(divided: InvocationStage) -> None:
    own = [(b"Set-Cookie", b"a=1; Path=/"), (b"Strict-Transport-Security", b"max-age=9"), (b"Connection", b"X-Hop")]

    def play(exchange: Exchange) -> None:
        exchange.answer(200, [*own, (b"X-Hop", b"1"), (b"X-Call-Id", b"its own")], b"x")

    divided.replica.play = play
    public = divided.call("GET", "/function/stage")
    assert public.all("Content-Security-Policy") == []
    assert (public.header("Set-Cookie"), public.header("Strict-Transport-Security")) == ("a=1; Path=/", "max-age=9")
    assert public.all("X-Hop") == []
    assert [len(call_id) for call_id in public.all("X-Call-Id")] == [36]
    managed = ask(divided.gateway, divided.gateway.management_port, "GET", "/function/stage")
    assert managed.header("Content-Security-Policy") == SANDBOX
    assert managed.header("Set-Cookie") == "a=1; Path=/function/stage"
    assert managed.all("Strict-Transport-Security") == []


def test_other_functions_are_sandboxed_on_both_ports(divided: InvocationStage) -> None:
    for port in (divided.gateway.port, divided.gateway.management_port):
        assert ask(divided.gateway, port, "GET", "/function/cat").header("Content-Security-Policy") == SANDBOX


def test_without_a_management_port_a_trusted_site_is_sandboxed_too(stage: InvocationStage) -> None:
    stage.gateway.deploy("page", annotations={"com.swarmfn.site": "trusted"})
    assert stage.call("GET", "/function/page").header("Content-Security-Policy") == SANDBOX
    stage.gateway.request("DELETE", "/system/functions", json={"functionName": "page"})
