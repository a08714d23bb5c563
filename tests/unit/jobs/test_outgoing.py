"""What a function and a callback's receiver are sent."""

from __future__ import annotations

import pytest

from swarmfn import __version__
from swarmfn.jobs.layout import is_callback_queue, successor
from swarmfn.jobs.outgoing import (
    callback_target,
    delivery_headers,
    delivery_place,
    delivery_queue,
    function_headers,
    request_target,
)
from swarmfn.wire.invocations import StoredResponse
from tests.support.queue_stage import invocation


def test_a_function_sees_the_clients_headers_and_ours_once() -> None:
    call = invocation(
        "a",
        start_time=123,
        headers=[
            ("X-Two", "1"),
            ("X-Two", "2"),
            ("x-call-id", "other"),
            ("X-ATTEMPT", "9"),
            ("Host", "h"),
            ("Content-Length", "7"),
        ],
    )
    assert function_headers(call, 2, 1000.25) == [
        ("X-Two", "1"),
        ("X-Two", "2"),
        ("X-Call-Id", "a"),
        ("X-Start-Time", "123"),
        ("X-Attempt", "2"),
        ("X-Deadline", "1000.250"),
    ]


@pytest.mark.parametrize(
    ("path", "query", "target"), [("", "", "/"), ("/a%20b", "x=1", "/a%20b?x=1"), ("", "q", "/?q"), ("/a/", "", "/a/")]
)
def test_the_target_is_path_and_query_as_they_were_sent(path: str, query: str, target: str) -> None:
    assert request_target(invocation("a", path=path, query=query)) == target


def test_a_callback_has_the_functions_headers_then_ours_none_twice() -> None:
    response = StoredResponse(
        418,
        [
            ("Content-Type", "text/x"),
            ("X-Own", "1"),
            ("x-call-id", "forged"),
            ("X-Function-Status", "200"),
            ("Connection", "X-Hop"),
            ("X-Hop", "1"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "3"),
            ("Server", "s"),
            ("Date", "d"),
        ],
        3,
    )
    headers = delivery_headers(invocation("a", start_time=5, invoked_as="echo.openfaas-fn"), response, 0.25)
    assert headers == [
        ("Content-Type", "text/x"),
        ("X-Own", "1"),
        ("X-Call-Id", "a"),
        ("X-Start-Time", "5"),
        ("X-Function-Name", "echo.openfaas-fn"),
        ("X-Function-Status", "418"),
        ("X-Duration-Seconds", "0.250000"),
        ("X-Call-Hops", "1"),
        ("User-Agent", f"swarmfn/{__version__}"),
    ]


@pytest.mark.parametrize(("stored", "sent"), [("1", "2"), ("16", "17"), ("-3", "1"), ("x", "1"), ("9" * 30, "1")])
def test_a_callback_counts_the_calls_that_led_to_it_whatever_the_function_says(stored: str, sent: str) -> None:
    response = StoredResponse(200, [("x-call-hops", "0")], 0)
    headers = delivery_headers(invocation("a", headers=[("x-call-hops", stored)]), response, 1.0)
    assert [value for name, value in headers if name.lower() == "x-call-hops"] == [sent]


def test_a_callback_says_503_when_the_function_was_never_reached() -> None:
    headers = dict(delivery_headers(invocation("a"), None, 1.0))
    assert headers["X-Function-Status"] == "503"


@pytest.mark.parametrize(
    ("path", "query", "target"),
    [("", "", "/"), ("/a b", "", "/a%20b"), ("/a%20b", "t=%41", "/a%20b?t=%41"), ("/ü", "x=\r\n", "/%C3%BC?x=%0D%0A")],
)
def test_a_callbacks_target_holds_only_what_may_stand_there(path: str, query: str, target: str) -> None:
    assert callback_target(path, query) == target


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://Receiver.example/hook?a=b", "receiver.example:80"),
        ("https://receiver.example", "receiver.example:443"),
        ("http://[::1]:8080/x", "::1:8080"),
        ("http://gateway:8080/function/notify", "gateway:8080:function:notify"),
        ("http://gateway:8080/function/notify.openfaas-fn/x?y", "gateway:8080:function:notify"),
        ("http://gateway:8080/async-function/echo/", "gateway:8080:async-function:echo"),
        ("http://gateway:8080/function/%20", "gateway:8080"),
        ("http://a_b'c|d:1/", "a_b_c_d:1"),
        ("http://receiver:99999/", ""),
        ("http://[::1", ""),
    ],
)
def test_receivers_are_told_apart_by_host_port_and_function(url: str, place: str) -> None:
    assert delivery_place(url) == place


def test_any_number_of_receivers_share_a_fixed_number_of_queues() -> None:
    queues = {delivery_queue(f"http://r{number}.example/") for number in range(5_000)}
    assert queues == {f"callbacks:{number}" for number in range(64)}
    # One function is one receiver, by whichever path of its own.
    assert delivery_queue("http://gateway:8080/function/a") == delivery_queue("http://gateway:8080/function/a/b?c")
    assert delivery_queue("http://[::1") == "callbacks"
    assert all(map(is_callback_queue, queues))


def test_a_queue_that_an_earlier_version_made_belongs_to_one_of_today() -> None:
    assert successor("callbacks:gateway:8080:function:a") == delivery_queue("http://gateway:8080/function/a")
    for queue in ("callbacks:17", "callbacks", "echo", "echo:high", "callbacksx:a:80"):
        assert successor(queue) is None


def test_a_receivers_name_stays_short() -> None:
    assert len(delivery_place(f"http://{'x' * 5000}/")) < 250
