"""`handle(req)` as OpenFaaS's classic template calls it, in a process per call: the request is in the environment, and
what it prints is the answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.watchdog import Answer, Watchdog

Start = Callable[..., Watchdog]

# The body names the function to call.
HANDLERS = """
import os
import subprocess
import sys
import threading
import time

TEXT = "text/plain; charset=utf-8"


def handle(req):
    return globals()[req]()


def environment():
    names = sorted(name for name in os.environ if name.startswith("Http_"))
    return "".join(f"{name}={os.environ[name]}\\n" for name in names)


def child():
    subprocess.run("echo $Http_Method $Http_X_Mode", shell=True, check=True)


def own_variables():
    os.environ["Http_X_Mode"] = "changed"
    del os.environ["Http_Method"]
    os.environ["Http_X_Extra"] = os.environ["KEPT"] = "set"
    return "ok"


def kept():
    return os.environ.get("KEPT", "nothing")


def prints():
    print("got it")


def prints_and_returns():
    print("first")
    sys.stdout.write("second ")
    return "third"


def binary():
    sys.stdout.buffer.write(b"\\x89PNG\\r\\n\\x1a\\n\\0")


def from_a_child():
    print("before")
    subprocess.run(["echo", "from a child"], check=True)
    print("after")


def large():
    for _ in range(300):
        print("x" * 9999)


def complains():
    print("a complaint", file=sys.stderr)
    print("fine")


def nothing():
    return None


def page():
    return "<html><h1>Hi</h1></html>"


def data():
    return {"b": 1, "a": 2}


def response():
    print("said ")
    return {"statusCode": 202, "body": "later", "headers": {"Content-Type": "text/csv"}}


def pieces():
    print("one")
    yield "two\\n"
    print("three")
    yield "four\\n"
    print("five")


async def coroutine():
    print("awaited")


def leaves_early():
    print("done so far")
    sys.exit()


def gives_up():
    print("tried")
    sys.exit("no way")


def fails():
    print("before the failure")
    raise ValueError("a detail")


def crashes():
    print("before the crash")
    os._exit(3)


def hangs():
    print("before the end")
    time.sleep(60)


def leaves_a_child():
    subprocess.Popen("sleep 0.3; echo too late", shell=True)
    return "started"


def waits():
    time.sleep(1)
    return "waited"


def replaces_stdout():
    sys.stdout = open(os.devnull, "w")
    print("nowhere")
    return "ok"
"""


@pytest.fixture
def classic(start: Start, tmp_path: Path) -> Start:
    (tmp_path / "handler.py").write_text(HANDLERS)
    return lambda **settings: start(handler_path=tmp_path, **settings)


def call(watchdog: Watchdog, name: str, **headers: str) -> Answer:
    return watchdog.request(name.encode(), headers={name.replace("_", "-"): value for name, value in headers.items()})


def environment(watchdog: Watchdog, path: str, **headers: str) -> dict[str, str]:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = watchdog.request(b"environment", path, "PUT", headers).body.decode().splitlines()
    return dict(line.partition("=")[::2] for line in lines)


def test_request_is_in_the_environment_of_its_call_alone(classic: Start) -> None:
    watchdog = classic()
    seen = environment(watchdog, "/a%20b?x=1&y", x_mode="fast", content_type="text/css", proxy="http://127.0.0.1:9")
    expected = {
        "Http_Method": "PUT",
        "Http_Path": "/a b",
        "Http_Query": "x=1&y",
        "Http_X_Mode": "fast",
        "Http_Content_Type": "text/css",
        "Http_Host": f"127.0.0.1:{watchdog.port}",
        "Http_Content_Length": "11",
        "Http_ContentLength": "11",
        "Http_Accept_Encoding": "identity",
    }
    assert seen == expected
    gone = {"Http_Query", "Http_X_Mode", "Http_Content_Type"}
    plain = {**{name: value for name, value in expected.items() if name not in gone}, "Http_Path": "/"}
    assert environment(watchdog, "/") == plain
    assert call(watchdog, "child", x_mode="slow").body == b"POST slow\n"


def test_handler_that_changes_its_environment_keeps_what_is_its_own(classic: Start) -> None:
    watchdog = classic()
    assert call(watchdog, "own_variables", x_mode="1").body == b"ok"
    assert call(watchdog, "kept").body == b"set"
    seen = environment(watchdog, "/", x_mode="2")
    assert (seen["Http_Method"], seen["Http_X_Mode"]) == ("PUT", "2")


def test_variables_can_be_switched_off(classic: Start) -> None:
    assert environment(classic(cgi_headers="false"), "/") == {}


@pytest.mark.parametrize(
    ("name", "media_type", "body"),
    [
        ("prints", "text/plain; charset=utf-8", b"got it\n"),
        ("prints_and_returns", "text/plain; charset=utf-8", b"first\nsecond third"),
        ("binary", "image/png", b"\x89PNG\r\n\x1a\n\0"),
        ("from_a_child", "text/plain; charset=utf-8", b"before\nfrom a child\nafter\n"),
        ("large", "text/plain; charset=utf-8", (b"x" * 9999 + b"\n") * 300),
        ("complains", "text/plain; charset=utf-8", b"fine\n"),
        ("nothing", "text/plain; charset=utf-8", b""),
        ("page", "text/html; charset=utf-8", b"<html><h1>Hi</h1></html>"),
        ("data", "application/json", b'{"a":2,"b":1}\n'),
        ("pieces", "text/plain; charset=utf-8", b"one\ntwo\nthree\nfour\nfive\n"),
        ("coroutine", "text/plain; charset=utf-8", b"awaited\n"),
        ("leaves_early", "text/plain; charset=utf-8", b"done so far\n"),
    ],
)
def test_what_it_prints_is_in_the_answer(shared_classic: Watchdog, name: str, media_type: str, body: bytes) -> None:
    answer = call(shared_classic, name)
    assert (answer.status, answer.header("Content-Type"), answer.body) == (200, media_type, body)
    # Nothing of it is left for the next call, or in the log.
    assert call(shared_classic, "nothing").body == b""
    assert "got it" not in shared_classic.process.log()


@pytest.fixture(scope="module")
def shared_classic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watchdog]:
    folder = tmp_path_factory.mktemp("classic")
    (folder / "handler.py").write_text(HANDLERS)
    with Watchdog(folder / "log", {"handler_path": str(folder)}) as watchdog:
        yield watchdog


def test_type_is_the_requests_where_the_handler_names_none(shared_classic: Watchdog) -> None:
    assert call(shared_classic, "page", content_type="text/css").header("Content-Type") == "text/css"
    answer = call(shared_classic, "response", content_type="text/css")
    assert (answer.status, answer.header("Content-Type"), answer.body) == (202, "text/csv", b"said \nlater")


def test_standard_error_is_in_the_log(shared_classic: Watchdog) -> None:
    call(shared_classic, "complains", x_call_id="c-1")
    assert re.search(r"a complaint .*call_id=c-1", shared_classic.process.log())


@pytest.mark.parametrize(
    ("name", "status", "printed"),
    [
        ("fails", 500, "before the failure"),
        ("gives_up", 500, "tried"),
        ("crashes", 500, "before the crash"),
        ("hangs", 408, "before the end"),
    ],
)
def test_what_a_failed_call_printed_is_in_the_log(classic: Start, name: str, status: int, printed: str) -> None:
    watchdog = classic(exec_timeout="1s")
    answer = call(watchdog, name, x_call_id="c-1")
    assert answer.status == status
    assert printed.encode() not in answer.body
    assert len(re.findall(rf"{printed} .*call_id=c-1", watchdog.process.log())) == 1
    assert call(watchdog, "prints").body == b"got it\n"


def test_process_left_behind_does_not_print_into_another_callers_answer(classic: Start) -> None:
    watchdog = classic()
    assert call(watchdog, "leaves_a_child").body == b"started"
    assert call(watchdog, "waits").body == b"waited"
    assert call(watchdog, "prints").body == b"got it\n"


def test_handler_may_replace_its_standard_output(classic: Start) -> None:
    watchdog = classic()
    assert [call(watchdog, "replaces_stdout").body for _ in range(2)] == [b"ok", b"ok"]


def test_with_threads_it_has_neither_and_the_log_says_so(classic: Start) -> None:
    watchdog = classic(threads="2")
    assert "finds no Http_ variables in its environment" in watchdog.process.log()
    assert environment(watchdog, "/") == {}
    assert call(watchdog, "prints", x_call_id="c-2").body == b""
    assert re.search(r"function: got it .*call_id=c-2", watchdog.process.log())
    assert call(watchdog, "page").header("Content-Type") == "text/html; charset=utf-8"


def test_one_thread_needs_no_warning(classic: Start) -> None:
    assert "WARNING" not in classic().process.log()
