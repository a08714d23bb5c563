"""Pages of other origins, as a browser asks for them: let in where the setting says so, and only there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import requests

from tests.support.gateway import GatewayProcess
from tests.support.redis_server import RedisServer

APP = "https://app.example:8443"
Start = Callable[[str], GatewayProcess]


@pytest.fixture(scope="module")
def gateways(
    data_plane: str, tmp_path_factory: pytest.TempPathFactory, redis_process: RedisServer
) -> Iterator[dict[str, GatewayProcess]]:
    """By the setting."""

    def start(name: str, **settings: str) -> GatewayProcess:
        folder = tmp_path_factory.mktemp(f"{name}-{data_plane}")
        return GatewayProcess(folder, redis_process.address, redis_process.password, data_plane, **settings)

    with (
        start("off") as off,
        start("some", cors_origins=f"http://other.example, {APP}") as some,
        start("any", cors_origins="*") as anybody,
    ):
        for gateway in (off, some, anybody):
            gateway.deploy("echo")
        yield {"off": off, "some": some, "any": anybody}


def preflight(gateway: GatewayProcess, path: str, origin: str = APP, **headers: str) -> requests.Response:
    question = {"Origin": origin, "Access-Control-Request-Method": "POST", **headers}
    return gateway.request("OPTIONS", path, headers=question, auth=None)


def granted(answer: requests.Response) -> str | None:
    return answer.headers.get("Access-Control-Allow-Origin")


CALLS = ["/function/echo", "/function/echo/sub?x=1", "/async-function/echo"]


@pytest.mark.parametrize("path", CALLS)
def test_the_question_of_a_browser_is_answered_without_the_function(
    gateways: dict[str, GatewayProcess], path: str
) -> None:
    answer = preflight(gateways["some"], path, **{"Access-Control-Request-Headers": "content-type,x-callback-url"})
    assert (answer.status_code, answer.content, granted(answer)) == (204, b"", APP)
    assert "POST" in answer.headers["Access-Control-Allow-Methods"].split(", ")
    assert answer.headers["Access-Control-Allow-Headers"] == "content-type,x-callback-url"
    assert answer.headers["Access-Control-Max-Age"] == "600"
    assert answer.headers["Vary"] == "Origin"
    assert "X-Call-Id" not in answer.headers
    assert granted(preflight(gateways["any"], path)) == "*"


@pytest.mark.parametrize("path", CALLS)
def test_no_other_origin_is_let_in_and_nobody_without_the_setting(
    gateways: dict[str, GatewayProcess], path: str
) -> None:
    for answer in (
        preflight(gateways["some"], path, "https://app.example"),
        preflight(gateways["some"], path, f"{APP}.evil.example"),
        preflight(gateways["some"], path, "null"),
        preflight(gateways["off"], path),
        gateways["off"].post(path, data=b"x", headers={"Origin": APP}, auth=None),
        gateways["some"].post(path, data=b"x", headers={"Origin": "https://evil.example"}, auth=None),
        gateways["some"].post(path, data=b"x", auth=None),
    ):
        assert granted(answer) is None
        assert answer.status_code != 204
    for method in ("OPTIONS", "POST"):
        answer = gateways["off"].request(method, path, headers={"Origin": APP}, auth=None)
        assert "Vary" not in answer.headers


@pytest.mark.parametrize(("setting", "expected"), [("some", APP), ("any", "*")])
def test_every_answer_to_a_call_can_be_read_by_the_page(
    gateways: dict[str, GatewayProcess], setting: str, expected: str
) -> None:
    gateway, headers = gateways[setting], {"Origin": APP}
    accepted = gateway.post("/async-function/echo", data=b"x", headers=headers, auth=None)
    where = accepted.headers["Location"]
    for answer, status in (
        (gateway.post("/function/echo", data=b"x", headers=headers, auth=None), 200),
        (gateway.post("/function/missing", data=b"x", headers=headers, auth=None), 404),
        (accepted, 202),
        (gateway.get(where, headers=headers, auth=None), 200),
        (gateway.get(f"{where}/result", headers=headers, auth=None), 202),
        (gateway.get("/async-function/echo", headers=headers, auth=None), 405),
        (gateway.request("DELETE", where, headers=headers, auth=None), 202),
    ):
        assert (answer.status_code, granted(answer)) == (status, expected)
        assert answer.headers["Access-Control-Expose-Headers"] == "*"
        assert answer.headers.get("Vary") == ("Origin" if setting == "some" else None)
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_management_is_open_to_no_other_origin(gateways: dict[str, GatewayProcess]) -> None:
    for path in ("/system/functions", "/ui/", "/healthz"):
        assert granted(preflight(gateways["any"], path)) is None
        assert granted(gateways["any"].get(path, headers={"Origin": APP})) is None
