"""What users of OpenFaaS, its watchdogs and its templates have reported as broken, on the whole product on either
engine: the parts have tests of their own, which know nothing of images, services and the way from one to the other."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.support import images
from tests.support.platform import Platform
from tests.support.swarm_platform import SwarmPlatform
from tests.support.waiting import wait_until

CLASSIC = """
import os

def handle(req):
    print("printed", req)
    return "%s %s %s" % tuple(os.getenv(f"Http_{name}") for name in ("Method", "Query", "X_Mode"))
"""
MODERN = """
import json
from pathlib import Path

KEPT = Path("/tmp/credentials-of-a-callback")

def handle(event, context):
    if event.path == "/number":
        try:
            return {"statusCode": 200, "body": str(int(event.body))}
        except ValueError as exc:
            return {"statusCode": 400, "body": exc}
    if event.path == "/keep":
        KEPT.write_text(event.headers.get("Authorization", "none"))
    if event.path in ("/keep", "/kept"):
        return {"statusCode": 200, "body": KEPT.read_text() if KEPT.exists() else ""}
    if event.path == "/page":
        return {"statusCode": 200, "body": "<h1>Hi</h1>"}
    listed = dict(event.headers)
    return [
        event.query.get("n", default=1, type=int) + 1,
        event.query.to_dict(flat=False),
        [listed.get("X-Api-Key"), event.headers.get("X-Part"), event.headers.get("X-Count", type=int)],
    ]
"""
SAMPLES = {
    b"<html><h1>hi</h1></html>": "text/html; charset=utf-8",
    b"\x89PNG\r\n\x1a\n\0\0": "image/png",
    b"%PDF-1.4": "application/pdf",
}
Deploy = Callable[..., str]


@pytest.fixture
def deploy(any_platform: Platform) -> Iterator[Deploy]:
    """Deploys a function and waits until it is ready; it is removed at the end. Gives its name."""
    names: list[str] = []

    def make(name: str, image: str = "", **fields: object) -> str:
        names.append(name)
        body = {"service": name, "image": image or command_image(any_platform), **fields}
        answer = any_platform.system("POST", "/system/functions", json=body)
        assert answer.status_code == 202, answer.text
        wait_until(
            lambda: any_platform.system("GET", f"/system/function/{name}").json()["availableReplicas"],
            timeout=120,
            message=f"{name} is ready",
        )
        return name

    yield make
    for name in names:
        any_platform.system("DELETE", "/system/functions", json={"functionName": name})


def command_image(platform: Platform) -> str:
    """For a function that is a command. On this machine any name does."""
    return platform.image_of("wordcount") if isinstance(platform, SwarmPlatform) else "none"


def handler_image(platform: Platform, folder: Path, source: str, lang: str) -> str:
    folder.mkdir()
    (folder / "handler.py").write_text(source)
    return (
        images.function_image(platform.engine, folder, lang) if isinstance(platform, SwarmPlatform) else f"dir:{folder}"
    )


def test_a_classic_handler_has_its_request_in_the_environment_and_prints_its_answer(
    any_platform: Platform, deploy: Deploy, tmp_path: Path
) -> None:
    name = deploy("reported-classic", handler_image(any_platform, tmp_path / "classic", CLASSIC, "python3"))
    url = f"{any_platform.url}/function/{name}?a=1"
    answer = requests.post(url, data="hello", headers={"X-Mode": "fast"}, timeout=60)
    assert answer.text.splitlines() == ["printed hello", "POST a=1 fast"]


def test_a_handler_of_today_finds_the_request_and_gives_results_as_with_flask(
    any_platform: Platform, deploy: Deploy, tmp_path: Path
) -> None:
    name = deploy("reported-modern", handler_image(any_platform, tmp_path / "modern", MODERN, "python3-http"))
    url = f"{any_platform.url}/function/{name}"
    headers = {"X-Api-Key": "k", "X-Part": "1,2", "X-Count": "3"}
    answer = requests.post(f"{url}?n=7&a=1&a=2", headers=headers, timeout=60)
    assert answer.json() == [8, {"n": ["7"], "a": ["1", "2"]}, ["k", "1,2", 3]]
    wrong = requests.post(f"{url}/number", data="nonsense", timeout=60)
    assert (wrong.status_code, "invalid literal" in wrong.text) == (400, True)
    assert requests.get(f"{url}/page", timeout=60).headers["Content-Type"] == "text/html; charset=utf-8"

    any_platform.send(name, b"x", callback=f"http://user:pw@gateway:8080/function/{name}/keep")
    kept = wait_until(lambda: requests.get(f"{url}/kept", timeout=60).text, message="the callback has come")
    assert kept == f"Basic {base64.b64encode(b'user:pw').decode()}"


def test_a_command_has_the_values_as_they_were_deployed(any_platform: Platform, deploy: Deploy) -> None:
    values = {"GREETING": "Hello {{ name }}", "ID": "{{.Service.Name}}", "my.key": "dots", "log_buffer_size": "-1"}
    name = deploy("reported-env", envProcess="env", envVars=values)
    seen = any_platform.call(name).text.splitlines()
    assert {f"{key}={value}" for key, value in values.items()} <= set(seen)


def test_a_variable_that_cannot_exist_is_refused(any_platform: Platform) -> None:
    body = {"service": "reported-name", "image": command_image(any_platform), "envVars": {"A=B": "x"}}
    answer = any_platform.system("POST", "/system/functions", json=body)
    assert (answer.status_code, "'A=B'" in answer.text) == (400, True)


def test_what_a_command_answers_is_typed_by_its_content(any_platform: Platform, deploy: Deploy) -> None:
    name = deploy("reported-type", envProcess="cat")
    found = {sample: any_platform.call(name, sample).headers["Content-Type"] for sample in SAMPLES}
    assert found == SAMPLES


def test_past_exec_timeout_an_asynchronous_call_always_ends_as_504(any_platform: Platform, deploy: Deploy) -> None:
    name = deploy("reported-slow", envProcess="sleep 5", envVars={"exec_timeout": "1s"})
    calls = [any_platform.send(name, b"x") for _ in range(12)]

    def has_ended(call: str) -> bool:
        return any_platform.result(call).status_code != 202

    for call in calls:
        wait_until(functools.partial(has_ended, call), 60, f"{call} has ended")
    assert [any_platform.result(call).status_code for call in calls] == [504] * 12


def test_a_browser_may_ask_before_it_sends_an_asynchronous_call(any_platform: Platform, deploy: Deploy) -> None:
    url = f"{any_platform.url}/async-function/wordcount"
    question = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    answer = requests.options(url, headers=question, timeout=60)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
    other = requests.options(url, headers={**question, "Origin": "https://other.example"}, timeout=60)
    assert "Access-Control-Allow-Origin" not in other.headers
