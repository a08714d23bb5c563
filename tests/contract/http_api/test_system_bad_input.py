"""Management requests that are wrong: each is told what is wrong, and nothing is changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.gateway import GatewayProcess

FUNCTION = {"service": "echo", "image": "any", "envProcess": "cat"}
CHANGES = [("POST", "/system/functions"), ("PUT", "/system/functions"), ("DELETE", "/system/functions")]
CHANGES_AND_SCALE = [*CHANGES, ("POST", "/system/scale-function/echo")]


@pytest.mark.parametrize(("method", "path"), CHANGES_AND_SCALE)
@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"service": "echo",\n "image" "any"}', "line 2, column 10"),
        (b'{"service": "echo"', "line 1"),
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"service=echo&image=any", "line 1, column 1"),
        (b'{"service": "\xff\xfe"}', "UTF-8 at byte 13"),
        (b"[1, 2]", "a list"),
        (b'"echo"', "a text"),
        (b"null", "null"),
        (b"17", "a number"),
        (b"true", "true or false"),
        (b'{"replicas": NaN}', "NaN"),
        (b'{"replicas": ' + b"9" * 5000 + b"}", "not usable"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"service": "a\\u0000b"}', "cannot be stored"),
        (b'{"envVars": {"a": "\\ud800"}}', "cannot be stored"),
        (b'{"envVars": {"\\udfff": "b"}}', "cannot be stored"),
    ],
)
def test_a_body_that_is_no_object_is_refused_with_the_place(
    gateway: GatewayProcess, method: str, path: str, body: bytes, told: str
) -> None:
    gateway.post("/system/functions", json=FUNCTION)
    response = gateway.request(method, path, data=body)
    assert response.status_code == 400
    assert told in response.text
    assert response.headers["X-OpenFaaS-Internal"] == "gateway"
    assert [status["name"] for status in gateway.get("/system/functions").json()] == ["echo"]


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("envVars", {"A=B": "x"}),
        ("envVars", {"": "x"}),
        ("service", None),
        ("service", ""),
        ("service", 7),
        ("service", "a/b"),
        ("service", "../etc"),
        ("service", "a b"),
        ("service", "-echo"),
        ("service", "ümlaut"),
        ("service", "a" * 64),
        ("service", "echo.other"),
        ("service", ".openfaas-fn"),
        ("service", "gateway"),
        ("service", "redis.openfaas-fn"),
        ("service", "worker"),
        ("image", None),
        ("image", ""),
        ("image", ["any"]),
        ("namespace", "other"),
        ("namespace", 5),
        ("envProcess", 1),
        ("envVars", []),
        ("envVars", {"limit": 10}),
        ("labels", "a=b"),
        ("labels", {"a": None}),
        ("annotations", {"a": {}}),
        ("secrets", "one"),
        ("secrets", [1]),
        ("constraints", {}),
        ("limits", {"memory": "lots"}),
        ("requests", {"cpu": "fast"}),
        ("readOnlyRootFilesystem", "yes"),
    ],
)
def test_a_wrong_field_is_named(gateway: GatewayProcess, method: str, field: str, value: Any) -> None:
    response = gateway.request(method, "/system/functions", json={**FUNCTION, field: value})
    assert response.status_code == 400
    assert response.text.startswith(field)
    assert gateway.get("/system/functions").json() == []


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("field", ["service", "image"])
def test_a_missing_field_is_named(gateway: GatewayProcess, method: str, field: str) -> None:
    body = {name: value for name, value in FUNCTION.items() if name != field}
    response = gateway.request(method, "/system/functions", json=body)
    assert (response.status_code, response.text.split(":")[0]) == (400, field)


@pytest.mark.parametrize("name", [None, "", 7, ["echo"], {}])
def test_delete_needs_a_name(gateway: GatewayProcess, name: Any) -> None:
    response = gateway.request("DELETE", "/system/functions", json={"functionName": name})
    assert (response.status_code, response.text.split(":")[0]) == (400, "functionName")


@pytest.mark.parametrize("name", ["missing", "missing.openfaas-fn", "echo.other", "a/b", "..", "a" * 64])
def test_deleting_what_is_not_there_is_a_404(gateway: GatewayProcess, name: str) -> None:
    gateway.post("/system/functions", json=FUNCTION)
    assert gateway.request("DELETE", "/system/functions", json={"functionName": name}).status_code == 404
    assert len(gateway.get("/system/functions").json()) == 1


@pytest.mark.parametrize("replicas", [None, "2", 1.5, True, [], -1, 10**6, 10**30])
def test_scale_needs_a_sensible_whole_number(gateway: GatewayProcess, replicas: Any) -> None:
    gateway.post("/system/functions", json=FUNCTION)
    response = gateway.post("/system/scale-function/echo", json={"replicas": replicas})
    assert response.status_code == 400
    assert "replicas" in response.text
    assert gateway.get("/system/function/echo").json()["replicas"] == 1


def test_scale_without_a_number_does_not_stop_the_function(gateway: GatewayProcess) -> None:
    gateway.post("/system/functions", json=FUNCTION)
    assert gateway.post("/system/scale-function/echo", json={"serviceName": "echo"}).status_code == 400
    assert gateway.get("/system/function/echo").json()["replicas"] == 1


def test_scale_with_another_name_in_its_body_is_refused(gateway: GatewayProcess) -> None:
    gateway.post("/system/functions", json=FUNCTION)
    response = gateway.post("/system/scale-function/echo", json={"serviceName": "other", "replicas": 3})
    assert (response.status_code, response.text.split(":")[0]) == (400, "serviceName")


def test_scaling_what_is_not_there_is_a_404(gateway: GatewayProcess) -> None:
    assert gateway.post("/system/scale-function/missing", json={"replicas": 1}).status_code == 404


@pytest.mark.parametrize("name", ["missing", "missing.openfaas-fn", "echo.other", ".openfaas-fn", "%C3%BC", "a" * 300])
def test_showing_what_is_not_there_is_a_404(gateway: GatewayProcess, name: str) -> None:
    response = gateway.get(f"/system/function/{name}")
    assert response.status_code == 404
    assert response.headers["X-OpenFaaS-Internal"] == "gateway"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/system/functions"), ("GET", "/system/function/echo"), *CHANGES_AND_SCALE],
)
def test_another_namespace_in_the_query_is_refused(gateway: GatewayProcess, method: str, path: str) -> None:
    gateway.post("/system/functions", json=FUNCTION)
    response = gateway.request(method, f"{path}?namespace=other", json={**FUNCTION, "functionName": "echo"})
    assert response.status_code == 400
    assert "openfaas-fn" in response.text
    assert len(gateway.get("/system/functions").json()) == 1


@pytest.mark.parametrize(("method", "path"), CHANGES_AND_SCALE)
def test_another_namespace_in_the_body_is_refused(gateway: GatewayProcess, method: str, path: str) -> None:
    gateway.post("/system/functions", json=FUNCTION)
    body = {**FUNCTION, "functionName": "echo", "replicas": 3, "namespace": "other"}
    response = gateway.request(method, path, json=body)
    assert response.status_code == 400
    assert gateway.get("/system/function/echo").json()["replicas"] == 1


@pytest.mark.parametrize("is_chunked", [False, True], ids=["with a length", "chunked"])
def test_a_body_over_a_mebibyte_is_refused_naming_the_limit(gateway: GatewayProcess, is_chunked: bool) -> None:
    body = json.dumps({**FUNCTION, "envVars": {"big": "x" * 1024 * 1024}}).encode()
    pieces = (body[start : start + 65536] for start in range(0, len(body), 65536))
    response = gateway.post("/system/functions", data=pieces if is_chunked else body)
    assert response.status_code == 413
    assert "1048576" in response.text
    assert gateway.get("/system/functions").json() == []


def test_a_body_just_under_the_limit_is_read(gateway: GatewayProcess) -> None:
    body = json.dumps(FUNCTION).encode()
    padded = body + b" " * (1024 * 1024 - len(body))
    assert gateway.post("/system/functions", data=padded).status_code == 202
    assert gateway.post("/system/functions", data=padded + b" ").status_code == 413


def test_values_that_look_like_markup_or_paths_are_only_text(gateway: GatewayProcess) -> None:
    body = {**FUNCTION, "labels": {"<script>": "'; DROP TABLE"}, "envVars": {"PATH_LIKE": "../../etc/passwd\n"}}
    assert gateway.post("/system/functions", json=body).status_code == 202
    status = gateway.get("/system/function/echo").json()
    assert (status["labels"], status["envVars"]) == (body["labels"], body["envVars"])


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    ("field", "value", "meant"),
    [
        ("envvars", {"a": "b"}, "envVars"),
        ("env_process", "cat", "envProcess"),
        ("lables", {}, "labels"),
        ("limit", {}, "limits"),
        ("readonlyRootFileSystem", True, "readOnlyRootFilesystem"),
    ],
)
def test_a_misspelt_field_is_refused_with_the_one_that_is_meant(
    gateway: GatewayProcess, method: str, field: str, value: Any, meant: str
) -> None:
    gateway.post("/system/functions", json=FUNCTION)
    response = gateway.request(method, "/system/functions", json={**FUNCTION, "envProcess": "tac", field: value})
    assert response.status_code == 400
    assert response.text.strip() == f"{field}: there is no such field. Did you mean {meant}?"
    assert gateway.get("/system/function/echo").json()["envProcess"] == "cat"


def test_misspelt_fields_of_other_bodies_are_refused_too(gateway: GatewayProcess) -> None:
    gateway.post("/system/functions", json=FUNCTION)
    limits = gateway.request("PUT", "/system/functions", json={**FUNCTION, "limits": {"memroy": "1G"}})
    scale = gateway.post("/system/scale-function/echo", json={"replica": 2})
    remove = gateway.request("DELETE", "/system/functions", json={"function_name": "echo"})
    assert [answer.status_code for answer in (limits, scale, remove)] == [400, 400, 400]
    assert "Did you mean limits.memory?" in limits.text
    assert "Did you mean replicas?" in scale.text
    assert "Did you mean functionName?" in remove.text


def test_fields_of_other_names_are_passed_over_and_a_status_may_be_sent_back(gateway: GatewayProcess) -> None:
    assert gateway.post("/system/functions", json={**FUNCTION, "debug": True, "x": 1}).status_code == 202
    status = gateway.get("/system/function/echo", params={"usage": "1"}).json()
    body = {**status, "service": "echo", "usage": {}, "rollout": "running", "problem": "none", "warnings": []}
    assert gateway.request("PUT", "/system/functions", json=body).status_code == 202


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    "fields",
    [
        {"envProcess": 'sh -c "cat; date"'},
        {"envProcess": "env A='b c' printenv A"},
        {"envVars": {"fprocess": "sh -c 'cat; date'"}},
        {"envVars": {"function_process": "sh -c 'cat; date'"}},
    ],
)
def test_a_command_that_needs_a_shell_is_refused_with_the_way_out(
    gateway: GatewayProcess, method: str, fields: dict[str, Any]
) -> None:
    gateway.post("/system/functions", json=FUNCTION)
    response = gateway.request(method, "/system/functions", json={**FUNCTION, **fields})
    assert response.status_code == 400
    assert "a watchdog splits a command at each space and starts it without a shell" in response.text
    assert "Put the command into a script" in response.text
    assert gateway.get("/system/function/echo").json()["envProcess"] == "cat"


def test_quotes_within_a_word_are_the_words_own(gateway: GatewayProcess) -> None:
    assert gateway.post("/system/functions", json={**FUNCTION, "envProcess": 'echo .["a"]'}).status_code == 202
