"""/function/NAME: what of a client's request reaches the function."""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.support.invocation_stage import InvocationStage
from tests.support.raw_http import chunked, request_bytes

UUID4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_every_method_reaches_the_function(stage: InvocationStage, method: str) -> None:
    body = b"some body" if method in ("POST", "PUT", "PATCH", "DELETE") else None
    answer = stage.call(method, "/function/stage", body=body)
    exchange = stage.replica.exchange()
    assert answer.status == 200
    assert exchange.method == method
    assert answer.body == (body or b"")


@pytest.mark.parametrize("method", ["PROPFIND", "TRACE", "PURGE"])
def test_other_methods_are_a_405_that_names_the_right_ones(stage: InvocationStage, method: str) -> None:
    answer = stage.call(method, "/function/stage")
    assert answer.status == 405
    assert answer.header("Allow") == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    assert stage.replica.received.empty()


@pytest.mark.parametrize(
    ("target", "arrives"),
    [
        ("/function/stage", "/"),
        ("/function/stage/", "/"),
        ("/function/stage.openfaas-fn", "/"),
        ("/function/stage.openfaas-fn/a/b", "/a/b"),
        ("/function/stage?a=1&b", "/?a=1&b"),
        ("/function/stage/?a=1", "/?a=1"),
        ("/function/stage/a%2Fb%2fc/%20d", "/a%2Fb%2fc/%20d"),
        ("/function/stage//a///b/", "//a///b/"),
        ("/function/stage/a/../b/./c", "/a/../b/./c"),
        ("/function/stage/%C3%BC?q=%C3%BC&x=a+b%20c", "/%C3%BC?q=%C3%BC&x=a+b%20c"),
        ("/function/stage/a?next=/x?y=1&z=%00", "/a?next=/x?y=1&z=%00"),
        ("/function/stage/a?next=http://b/c", "/a?next=http://b/c"),
        ("/function/stage/a;v=1/@me:80/~x/$&'()*+,=", "/a;v=1/@me:80/~x/$&'()*+,="),
        ("/function/stage/function/stage", "/function/stage"),
        ("http://gateway.test/function/stage/a%2Fb?c=d", "/a%2Fb?c=d"),
    ],
)
def test_the_path_after_the_name_and_the_query_arrive_as_they_were_sent(
    stage: InvocationStage, target: str, arrives: str
) -> None:
    assert stage.call("GET", target).status == 200
    assert stage.replica.exchange().target == arrives


@pytest.mark.parametrize(
    "name",
    [
        "missing",
        "missing.openfaas-fn",
        ".openfaas-fn",
        "",
        "stage.other-namespace",
        "stage.openfaas-fn.openfaas-fn",
        "Stage",
        "stag",
        "stagee",
        "sta%67e",
        "..",
        "%2e%2e",
        "a%2Fb",
        "-stage",
        "stage%20",
        "x" * 300,
        "%F0%9F%98%80",
    ],
)
@pytest.mark.parametrize("rest", ["", "/", "/sub/path?query=1"])
def test_a_name_that_no_function_has_is_a_404_of_the_platform(stage: InvocationStage, name: str, rest: str) -> None:
    answer = stage.call("POST", f"/function/{name}{rest}", body=b"x")
    assert answer.status == 404
    assert answer.header("X-OpenFaaS-Internal") == "gateway"
    assert re.fullmatch(UUID4, answer.header("X-Call-Id") or "")
    assert ("is deployed here" if name else "the address names no function") in answer.text
    assert len(answer.text) < 300


def test_a_404_is_json_for_clients_that_ask_for_it(stage: InvocationStage) -> None:
    answer = stage.call("GET", "/function/missing", [("Accept", "application/json")])
    assert answer.header("Content-Type") == "application/json"
    assert json.loads(answer.body)["error"] == 'no function "missing" is deployed here.'


def test_end_to_end_headers_arrive_and_hop_by_hop_ones_do_not(stage: InvocationStage) -> None:
    sent = [
        ("Authorization", "Bearer of-the-function"),
        ("Cookie", "a=1; b=2"),
        ("Content-Type", "application/x-thing"),
        ("X-Topic", "things"),
        ("X-Empty-Is-Kept-Out-Or-Empty", ""),
        ("Accept-Encoding", "gzip"),
        ("User-Agent", "a client"),
        ("Hmac", "sha256=abc"),
        ("Connection", "X-Secret, keep-alive, Close"),
        ("Connection", "x-other"),
        ("X-Secret", "1"),
        ("X-Other", "2"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authorization", "Basic eDp5"),
        ("Proxy-Connection", "keep-alive"),
        ("TE", "trailers"),
        ("Trailer", "X-Sum"),
    ]
    assert stage.call("POST", "/function/stage", sent, b"body").status == 200
    exchange = stage.replica.exchange()
    for name, value in sent[:4] + sent[5:8]:
        assert exchange.header(name) == value, name
    for name, _ in sent[8:]:
        assert exchange.all(name) == [], name


def test_a_header_value_arrives_byte_for_byte(stage: InvocationStage) -> None:
    value = 'a, "b";  c=ü\t|' + "x" * 3000
    stage.call("GET", "/function/stage", [("X-Odd", value)])
    assert stage.replica.exchange().header("X-Odd") == value


def test_several_headers_of_one_name_arrive_in_order(stage: InvocationStage) -> None:
    stage.call("GET", "/function/stage", [("X-Many", "1"), ("X-Many", "2"), ("x-many", "3")])
    assert ", ".join(stage.replica.exchange().all("X-Many")) == "1, 2, 3"


def test_the_function_learns_who_called_and_by_which_host(stage: InvocationStage) -> None:
    stage.call("GET", "/function/stage", [("Host", "faas.example:8080")])
    exchange = stage.replica.exchange()
    assert exchange.header("X-Forwarded-For") == "127.0.0.1"
    assert exchange.header("X-Forwarded-Host") == "faas.example:8080"
    assert exchange.header("Host") == f"127.0.0.1:{stage.replica.port}"


def test_what_proxies_before_the_gateway_said_is_continued(stage: InvocationStage) -> None:
    forwarded = [("X-Forwarded-For", "203.0.113.9, 10.0.0.1"), ("X-Forwarded-Host", "shop.example")]
    stage.call("GET", "/function/stage", [*forwarded, ("X-Forwarded-Proto", "https")])
    exchange = stage.replica.exchange()
    assert exchange.header("X-Forwarded-For") == "203.0.113.9, 10.0.0.1, 127.0.0.1"
    assert exchange.header("X-Forwarded-Host") == "shop.example"
    assert exchange.header("X-Forwarded-Proto") == "https"


def test_a_call_without_an_id_gets_one_and_a_start_time(stage: InvocationStage) -> None:
    before = time.time_ns()
    answer = stage.call("GET", "/function/stage")
    exchange = stage.replica.exchange()
    assert re.fullmatch(UUID4, exchange.header("X-Call-Id") or "")
    assert answer.header("X-Call-Id") == exchange.header("X-Call-Id")
    assert before <= int(exchange.header("X-Start-Time") or 0) <= time.time_ns()
    assert answer.header("X-Start-Time") == exchange.header("X-Start-Time")


def test_an_id_of_the_clients_own_is_kept(stage: InvocationStage) -> None:
    answer = stage.call("GET", "/function/stage", [("x-call-id", "Mine_1-2"), ("X-Start-Time", "1")])
    exchange = stage.replica.exchange()
    assert (answer.header("X-Call-Id"), exchange.header("X-Call-Id")) == ("Mine_1-2", "Mine_1-2")
    assert exchange.header("X-Start-Time") != "1"


@pytest.mark.parametrize("chosen", ["", "a b", "a/b", "x" * 65, "cb_1", "é", "a,b", "../x"])
def test_an_id_that_cannot_be_one_is_replaced(stage: InvocationStage, chosen: str) -> None:
    answer = stage.call("GET", "/function/stage", [("X-Call-Id", chosen)])
    assert re.fullmatch(UUID4, answer.header("X-Call-Id") or "")
    assert stage.replica.exchange().header("X-Call-Id") == answer.header("X-Call-Id")


def test_a_body_arrives_whole_with_its_length(stage: InvocationStage) -> None:
    body = bytes(range(256)) * 200
    assert stage.call("PUT", "/function/stage", body=body).body == body
    assert stage.replica.exchange().header("Content-Length") == str(len(body))


def test_a_post_without_a_body_says_so(stage: InvocationStage) -> None:
    stage.call("POST", "/function/stage")
    assert stage.replica.exchange().header("Content-Length") == "0"


def test_a_get_without_a_body_announces_none(stage: InvocationStage) -> None:
    stage.call("GET", "/function/stage")
    exchange = stage.replica.exchange()
    assert exchange.all("Content-Length") + exchange.all("Transfer-Encoding") == []


def test_a_chunked_body_arrives_whole(stage: InvocationStage) -> None:
    pieces = [b"first", b"second" * 20000, b"third"]
    with stage.client() as client:
        head = request_bytes("POST", "/function/stage", [("Transfer-Encoding", "chunked")])
        client.send(head + chunked(*pieces))
        assert client.answer().body == b"".join(pieces)


def test_trailers_of_a_request_are_dropped(stage: InvocationStage) -> None:
    with stage.client() as client:
        head = request_bytes("POST", "/function/stage", [("Transfer-Encoding", "chunked"), ("Trailer", "X-Call-Id")])
        client.send(head + b"4\r\nbody\r\n0\r\nX-Call-Id: smuggled\r\nX-Late: 1\r\n\r\n")
        answer = client.answer()
    assert answer.body == b"body"
    assert answer.header("X-Call-Id") != "smuggled"
    assert stage.replica.exchange().all("X-Late") == []


def test_a_real_function_answers_with_what_it_read(stage: InvocationStage) -> None:
    body = "Grüße an die Funktion\n".encode() * 5000
    answer = stage.call("POST", "/function/cat.openfaas-fn/any/path?q=1", [("Content-Type", "text/plain")], body)
    assert (answer.status, answer.body) == (200, body)
    assert answer.header("Content-Type") == "text/plain"
