"""Handlers that are imported once per worker process."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.processes import is_running
from tests.support.waiting import wait_until
from tests.support.watchdog import FUNCTIONS, Answer, Watchdog, processes_in

Start = Callable[..., Watchdog]
Function = Callable[..., Watchdog]


@pytest.fixture
def function(start: Start) -> Function:
    return lambda name, **settings: start(handler_path=FUNCTIONS / name, **settings)


def test_event_describes_the_request(function: Function) -> None:
    headers = {"X-Call-Id": "c-1", "Content-Type": "text/css"}
    answer = function("echo", HOSTNAME="replica-1").request(b"\x00", "/a%C3%BC?x=1&x=2&y=", "PATCH", headers)
    assert json.loads(answer.header("X-Seen") or "") == {
        "method": "PATCH",
        "path": "/aü",
        "query": {"x": "1", "y": ""},
        "call_id": "c-1",
        "hostname": "replica-1",
    }
    assert answer.header("Content-Type") == "text/css"
    assert answer.body == b"\x00"


def test_classic_shape_gets_text_or_else_bytes(function: Function) -> None:
    watchdog = function("classic")
    assert watchdog.request("grün".encode()).body == "GRÜN!".encode()
    assert watchdog.request(b"\xff\xfe\x00").body == b"\x00\xfe\xff"


def test_async_handlers_share_one_event_loop(function: Function) -> None:
    watchdog = function("asynchronous")
    assert [watchdog.request(body).body for body in (b"a", b"b")] == [b"a", b"b"]
    assert watchdog.request(b"c").status == 202


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watchdog]:
    log = tmp_path_factory.mktemp("shapes") / "log"
    with Watchdog(log, {"handler_path": str(FUNCTIONS / "shapes")}) as watchdog:
        yield watchdog


HTML = "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("name", "status", "media_type", "body"),
    [
        ("text", 200, HTML, "grüße".encode()),
        ("bytes", 200, HTML, b"\x00\xff"),
        ("none", 200, HTML, b""),
        ("data", 200, "application/json", b'{"a":[1,2]}\n'),
        ("list", 200, "application/json", b"[1,2]\n"),
        ("status", 201, HTML, b"made"),
        ("status with data", 404, "application/json", b'{"missing":true}\n'),
        ("only body", 200, HTML, b"just this"),
        ("no content", 204, HTML, b""),
        ("pair", 410, HTML, b"gone"),
        ("triple", 200, "application/pdf", b"pdf"),
        ("own length", 200, HTML, b"12345"),
    ],
)
def test_result_becomes_a_response(shapes: Watchdog, name: str, status: int, media_type: str, body: bytes) -> None:
    answer = shapes.request(name.encode())
    assert (answer.status, answer.header("Content-Type"), answer.body) == (status, media_type, body)
    assert [name for name, _ in answer.headers].count("Content-Length") == (0 if status == 204 else 1)


def test_headers_may_repeat(shapes: Watchdog) -> None:
    answer = shapes.request(b"status")
    assert answer.header("X-One") == "1"
    assert [value for name, value in answer.headers if name == "Set-Cookie"] == ["a=1", "b=2"]


@pytest.mark.parametrize("name", ["object", "bad status", "bad header"])
def test_result_that_is_no_response_is_a_clear_500(shapes: Watchdog, name: str) -> None:
    answer = shapes.request(name.encode())
    assert answer.status == 500
    assert answer.body.startswith(b"The function failed: ")
    assert answer.header("X-Injected") is None


def test_exception_is_a_500_and_its_traceback_is_in_the_log_only(function: Function) -> None:
    watchdog = function("crashy")
    answer = watchdog.request(b"raise", headers={"X-Call-Id": "c-9"})
    assert (answer.status, answer.body) == (500, b"The function failed: ValueError. Its log has the details.\n")
    log = watchdog.process.log()
    assert re.search(r"ValueError: a secret detail .*call_id=c-9", log)
    assert re.search(r"the function failed: ValueError .*call_id=c-9", log)
    assert "python_worker" not in log


def test_exception_is_shown_to_the_caller_with_write_debug(function: Function) -> None:
    answer = function("crashy", write_debug="true").request(b"raise")
    assert answer.status == 500
    assert b"Traceback (most recent call last)" in answer.body
    assert b"a secret detail" in answer.body


def test_sys_exit_ends_the_call_and_not_the_process(function: Function) -> None:
    watchdog = function("crashy")
    before = watchdog.request(b"").body
    assert watchdog.request(b"exit").status == 500
    assert watchdog.request(b"").body == before


@pytest.mark.parametrize(
    ("how", "ending"), [("_exit", b"exit status 3"), ("segfault", b"signal 11"), ("kill", b"signal 9")]
)
def test_handler_that_kills_its_interpreter_gets_a_new_one(function: Function, how: str, ending: bytes) -> None:
    watchdog = function("crashy")
    before = watchdog.request(b"").body
    answer = watchdog.request(how.encode())
    assert answer.status == 500
    assert answer.body == b"The function's process ended before it answered (" + ending + b").\n"
    after = watchdog.request(b"")
    assert after.status == 200
    assert after.body != before


EVERYTHING_CAUGHT = """
import time
while True:
    try:
        time.sleep(600)
    except BaseException:
        pass
"""
HARD_TO_STOP = {
    "busy loop": "while True: pass",
    "a search in C": "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')",
    "a hash in C": "import hashlib; hashlib.pbkdf2_hmac('sha256', b'x', b'y', 2 * 10**9)",
    "a number in C": "str(3 ** 10**9)",
    "ignored signals": "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; time.sleep(600)",
    "every exception caught": EVERYTHING_CAUGHT,
}


@pytest.mark.parametrize("how", HARD_TO_STOP)
def test_exec_timeout_holds_against_what_cannot_be_interrupted(start: Start, tmp_path: Path, how: str) -> None:
    code = HARD_TO_STOP[how]
    source = f"CODE = {code!r}\n\ndef handle(req):\n    return exec(CODE, {{}}) if req else 'fine'\n"
    (tmp_path / "handler.py").write_text(source)
    watchdog = start(handler_path=tmp_path, exec_timeout="500ms")
    answer = watchdog.request(b"go")
    assert (answer.status, answer.body) == (408, b"Killed process.\n")
    assert watchdog.request(b"").body == b"fine"


def test_handler_that_runs_out_of_memory_costs_its_own_call(start: Start, tmp_path: Path) -> None:
    source = """
import os, resource

def handle(req):
    if req:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, resource.RLIM_INFINITY))
        return len([bytes(1 << 26) for _ in range(100)])
    return open("/proc/self/oom_score_adj").read()
"""
    (tmp_path / "handler.py").write_text(source)
    watchdog = start(handler_path=tmp_path)
    answer = watchdog.request(b"go")
    assert (answer.status, answer.body[:34]) == (500, b"The function failed: MemoryError. ")
    # Where the kernel has to choose, it takes this process and not the watchdog.
    assert int(watchdog.request(b"").body) >= 500


@pytest.mark.parametrize("leave", ["pass", "os.setsid()"])
def test_crash_is_noticed_though_a_forked_child_lives_on(start: Start, tmp_path: Path, leave: str) -> None:
    source = f"""
import os, time

def handle(req):
    if req:
        if os.fork() == 0:
            {leave}
            with open(req + ".part", "w") as file:
                file.write(str(os.getpid()))
            os.rename(req + ".part", req)
            time.sleep(60)
        while not os.path.exists(req):
            time.sleep(0.01)
        os._exit(3)
    return "fine"
"""
    (tmp_path / "handler.py").write_text(source)
    watchdog, file = start(handler_path=tmp_path), tmp_path / "pid"
    answer = watchdog.request(str(file).encode())
    assert answer.body == b"The function's process ended before it answered (exit status 3).\n"
    assert watchdog.request(b"").body == b"fine"
    for pid in processes_in(file):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)


def test_prints_are_in_the_log_with_their_call(function: Function) -> None:
    watchdog = function("chatty")
    for number in range(3):
        assert watchdog.request(b"%d" % number, headers={"X-Call-Id": f"c-{number}"}).body == b"said"
    log = watchdog.process.log()
    for number in range(3):
        assert re.search(rf"function: out {number} .*call_id=c-{number}", log)
        assert re.search(rf"function: err {number} .*call_id=c-{number}", log)
        assert re.search(rf"function: from a child .*call_id=c-{number}", log)


def test_prints_before_a_kill_are_in_the_log(start: Start, tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text("def handle(req):\n    print('about to hang')\n    while True: pass\n")
    watchdog = start(handler_path=tmp_path, exec_timeout="500ms")
    assert watchdog.request(b"").status == 408
    assert "about to hang" in watchdog.process.log()


def test_import_error_ends_the_watchdog_with_a_readable_log(function: Function) -> None:
    watchdog = function("broken", wait=False)
    assert watchdog.process.wait() == 1
    log = watchdog.process.log()
    assert "Traceback" in log
    last = log.splitlines()[-1]
    assert "cannot start: the function in" in last
    assert "No module named 'a_module_that_nobody_has'" in last


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 1", "defines no handle that can be called"),
        ("def handle(a, b, c): pass", "is neither handle(event, context) nor handle(req)"),
        ("import sys; sys.exit(4)", "SystemExit"),
        ("import os; os._exit(4)", "the process ended before it was ready (exit status 4)"),
        ("def handle(:", "SyntaxError"),
    ],
)
def test_handler_that_cannot_be_used_says_why(start: Start, tmp_path: Path, source: str, words: str) -> None:
    (tmp_path / "handler.py").write_text(source + "\n")
    watchdog = start(wait=False, handler_path=tmp_path)
    assert watchdog.process.wait() == 1
    assert words in watchdog.process.log().splitlines()[-1]


def test_modules_of_the_folder_do_not_break_the_worker_itself(start: Start, tmp_path: Path) -> None:
    for name in ("json", "struct", "traceback", "fwatchdog", "worker"):
        (tmp_path / f"{name}.py").write_text(f"NAME = '{name} of the function'\n")
    (tmp_path / "handler.py").write_text("import worker\n\ndef handle(req):\n    return worker.NAME\n")
    assert start(handler_path=tmp_path).request(b"").body == b"worker of the function"


def test_calls_wait_for_a_free_process_and_waiting_does_not_use_their_time(function: Function) -> None:
    watchdog = function("sleepy", exec_timeout="2s")
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda: answers.append(watchdog.request(b"1.2"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [200, 200, 200]


def test_caller_gone_while_it_waits_leaves_the_running_call_alone(function: Function) -> None:
    watchdog = function("sleepy", exec_timeout="20s")
    with watchdog.connect() as running, watchdog.connect() as waiting:
        request = b"POST / HTTP/1.1\r\nHost: f\r\nConnection: close\r\nContent-Length: 1\r\n\r\n"
        running.sendall(request + b"1")
        waiting.sendall(request + b"9")
        waiting.close()
        assert running.recv(65536).endswith(b"slept 1\n")
    started = time.monotonic()
    assert watchdog.request(b"0").body == b"slept 0\n"
    assert time.monotonic() - started < 9


def test_free_workers_die_with_a_killed_watchdog(function: Function) -> None:
    watchdog = function("crashy")
    worker = int(watchdog.request(b"").body)
    os.kill(watchdog.process.pid, 9)
    wait_until(lambda: not is_running(worker), message="the worker process is gone")


def test_exit_handlers_run_at_a_drain(start: Start, tmp_path: Path) -> None:
    source = "import atexit\natexit.register(print, 'goodbye')\n\ndef handle(req):\n    return 'ok'\n"
    (tmp_path / "handler.py").write_text(source)
    watchdog = start(handler_path=tmp_path)
    assert watchdog.request(b"").body == b"ok"
    assert watchdog.process.terminate() == 0
    assert "goodbye" in watchdog.process.log()


def test_a_process_that_cannot_be_replaced_is_tried_again(start: Start, tmp_path: Path) -> None:
    source = (FUNCTIONS / "crashy" / "handler.py").read_text()
    handler = tmp_path / "handler.py"
    handler.write_text(source)
    watchdog = start(handler_path=tmp_path)
    handler.write_text("import a_module_that_nobody_has\n")
    assert watchdog.request(b"_exit").status == 500
    answer = watchdog.request(b"")
    # Why is in the log, not for every caller.
    assert (answer.status, b"a_module" in answer.body, b"Its log has the details" in answer.body) == (503, False, True)
    assert "a_module_that_nobody_has" in watchdog.process.log()
    handler.write_text(source)
    wait_until(lambda: watchdog.request(b"").status == 200, message="the function is back")


def test_worker_is_replaced_after_its_caller_went(function: Function, tmp_path: Path) -> None:
    watchdog = function("family")
    pids = tmp_path / "pids"
    with watchdog.connect() as raw:
        body = str(pids).encode()
        raw.sendall(b"POST / HTTP/1.1\r\nHost: f\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        first = processes_in(pids)
    wait_until(lambda: not any(map(is_running, first)))
    pids.unlink()
    with watchdog.connect() as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: f\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert processes_in(pids) != first


def test_watchdog_can_be_stopped_while_its_handler_is_still_importing(start: Start, tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text("print('importing', flush=True)\nwhile True: pass\n")
    watchdog = start(wait=False, handler_path=tmp_path)
    watchdog.process.wait_for_log("importing")
    assert watchdog.process.terminate() == 0
