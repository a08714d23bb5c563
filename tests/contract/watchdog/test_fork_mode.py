"""The classic watchdog's contract: a process per call."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.processes import is_running
from tests.support.waiting import wait_until
from tests.support.watchdog import FUNCTIONS, Watchdog

Start = Callable[..., Watchdog]

CRASHY = f"sh {FUNCTIONS / 'crashy' / 'run.sh'}"


def test_request_is_in_the_environment(start: Start) -> None:
    watchdog = start(fprocess="env")
    headers = {"x-call-id": "c-1", "Content-Type": "text/css", "X-MULTI-part-NAME": "v"}
    answer = watchdog.request(b"12345", "/a%20b/c?x=1&y=2", "PUT", headers)
    lines = answer.body.decode().splitlines()
    assert {
        "Http_Method=PUT",
        "Http_Path=/a b/c",
        "Http_Query=x=1&y=2",
        f"Http_Host=127.0.0.1:{watchdog.port}",
        "Http_X_Call_Id=c-1",
        "Http_Content_Type=text/css",
        "Http_X_Multi_Part_Name=v",
        "Http_Content_Length=5",
        "Http_ContentLength=5",
    } <= set(lines)
    assert not [line for line in lines if line.startswith("Http_Transfer_Encoding")]


def test_caller_cannot_choose_the_functions_proxy(start: Start) -> None:
    """Python's urllib reads http_proxy in any case."""
    watchdog = start(fprocess="env")
    lines = watchdog.request(headers={"pRoXy": "http://127.0.0.1:9", "X-Proxy": "a"}).body.decode().splitlines()
    assert "Http_X_Proxy=a" in lines
    assert not [line for line in lines if line.lower().startswith("http_proxy")]


def test_first_value_of_a_repeated_header_counts(start: Start) -> None:
    request = b"GET / HTTP/1.1\r\nHost: f\r\nX-A: one\r\nX-A: two\r\nConnection: close\r\n\r\n"
    answer = start(fprocess="env").exchange(request)
    assert b"Http_X_A=one\n" in answer
    assert b"two" not in answer


def test_chunked_request_says_so_in_the_environment(start: Start) -> None:
    head = b"POST / HTTP/1.1\r\nHost: f\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    answer = start(fprocess="env").exchange(head)
    assert b"Http_Transfer_Encoding=chunked\n" in answer
    assert b"Http_Content_Length=-1\n" in answer


def test_variables_can_be_switched_off(start: Start) -> None:
    assert b"Http_" not in start(fprocess="env", cgi_headers="false").request(b"x").body


def test_path_with_a_zero_byte_does_not_reach_a_process(start: Start) -> None:
    watchdog = start(fprocess="env")
    assert watchdog.request(b"", "/a%00b").status == 400
    assert watchdog.request(b"").status == 200


def test_command_is_split_on_single_spaces_without_a_shell(start: Start) -> None:
    watchdog = start(fprocess=r"printf [%s] a  $HOME;b")
    assert watchdog.request(b"").body == b"[a][][$HOME;b]"


def test_request_can_be_marshalled_for_the_function(start: Start) -> None:
    watchdog = start(fprocess="cat", marshal_request="true")
    document = json.loads(watchdog.request(b"\x00raw", headers={"x-call-ID": "c-1"}).body)
    assert base64.b64decode(document["body"]["raw"]) == b"\x00raw"
    assert document["header"]["X-Call-Id"] == ["c-1"]
    assert "Host" not in document["header"]


def test_function_process_wins_over_fprocess(start: Start) -> None:
    assert start(fprocess="false", function_process="echo won").request(b"").body == b"won\n"


@pytest.mark.parametrize(
    ("how", "ending"), [("exit", b"exit status 3\n"), ("segfault", b"signal: segmentation fault\n")]
)
def test_failure_is_a_500_with_the_error_and_the_output(start: Start, how: str, ending: bytes) -> None:
    answer = start(fprocess=CRASHY).request(how.encode() + b"\n")
    assert (answer.status, answer.body) == (500, ending + b"some output\nsome complaint\n")


def test_standard_error_can_go_to_the_log_instead(start: Start) -> None:
    watchdog = start(fprocess=CRASHY, combine_output="false")
    answer = watchdog.request(b"fine\n", headers={"X-Call-Id": "c-7"})
    assert answer.body == b"some output\n"
    line = re.search(r".*some complaint.*", watchdog.process.log())
    assert line is not None
    assert "call_id=c-7" in line[0]


def test_log_without_prefix_has_the_lines_as_they_are(start: Start) -> None:
    watchdog = start(fprocess=CRASHY, combine_output="false", prefix_logs="false")
    watchdog.request(b"fine\n")
    assert "some complaint" in watchdog.process.log().splitlines()


def test_write_debug_logs_each_run(start: Start) -> None:
    watchdog = start(fprocess="cat", write_debug="true")
    watchdog.request(b"12345", headers={"X-Call-Id": "c-8"})
    assert re.search(r"wrote 5 bytes after .*call_id=c-8", watchdog.process.log())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"plain", "text/plain; charset=utf-8"),
        (b"\x00\x01", "application/octet-stream"),
        (b"<html><h1>hi</h1></html>", "text/html; charset=utf-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "image/png"),
        (b"%PDF-1.4", "application/pdf"),
    ],
)
def test_media_type_is_detected_where_there_is_none_to_mirror(start: Start, body: bytes, expected: str) -> None:
    assert start(fprocess="cat").request(body).header("Content-Type") == expected


def test_media_type_is_detected_in_output_that_comes_in_pieces(start: Start, tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    script.write_text("printf '<ht'; sleep 0.2; printf 'ml>'\n")
    assert start(fprocess=f"sh {script}").request(b"").header("Content-Type") == "text/html; charset=utf-8"


def test_process_that_does_not_read_its_input_is_fine(start: Start) -> None:
    watchdog = start(fprocess="echo done")
    with_large_body = watchdog.request(os.urandom(1 << 20) * 20)
    assert (with_large_body.status, with_large_body.body) == (200, b"done\n")
    assert watchdog.request(b"").body == b"done\n"


def test_large_output_without_input_arrives_whole(start: Start) -> None:
    answer = start(fprocess=f"head -c {200 << 20} /dev/zero").request(b"")
    assert len(answer.body) == 200 << 20


def test_large_input_and_output_at_once_do_not_block_each_other(start: Start, tmp_path: Path) -> None:
    body = os.urandom(1 << 20) * 100
    assert start(fprocess="cat").request(body).body == body


def test_output_of_a_grandchild_that_outlives_its_parent_is_waited_for(start: Start, tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    script.write_text("(sleep 0.5; echo late) & echo early\n")
    assert start(fprocess=f"sh {script}").request(b"").body == b"early\nlate\n"


def test_nothing_of_a_finished_run_stays_behind(start: Start, tmp_path: Path) -> None:
    script, pid = tmp_path / "run.sh", tmp_path / "pid"
    script.write_text(f"sleep 600 >/dev/null 2>&1 & echo $! > {shlex.quote(str(pid))}\n")
    assert start(fprocess=f"sh {script}").request(b"").status == 200
    wait_until(lambda: not is_running(int(pid.read_text())), message="the process left in the background is dead")


def test_child_has_default_signals_and_no_descriptors_of_the_watchdog(start: Start) -> None:
    watchdog = start(fprocess="grep -E ^Sig(Ign|Blk) /proc/self/status")
    masks = dict(line.split(":\t") for line in watchdog.request(b"").body.decode().splitlines())
    assert int(masks["SigBlk"], 16) == 0
    assert not int(masks["SigIgn"], 16) & (1 << (signal.SIGPIPE - 1))
    listing = start(fprocess="ls -l /proc/self/fd").request(b"").body.decode()
    assert "socket:" not in listing
    assert "eventpoll" not in listing


def test_no_descriptor_and_no_zombie_is_left_after_many_calls(start: Start) -> None:
    watchdog = start(fprocess="cat", exec_timeout="100ms")
    process = Path(f"/proc/{watchdog.process.pid}")
    before = len(os.listdir(process / "fd"))
    for _ in range(50):
        assert watchdog.request(b"x").status in (200, 408)
    wait_until(lambda: len(os.listdir(process / "fd")) == before, message="descriptors are closed")
    children = process / "task" / str(watchdog.process.pid) / "children"
    wait_until(lambda: not children.read_text().split(), message="children are reaped")


def test_caller_gone_in_the_middle_of_its_upload_stops_the_run(start: Start, tmp_path: Path) -> None:
    script, pid = tmp_path / "run.sh", tmp_path / "pid"
    script.write_text(f"echo $$ > {shlex.quote(str(pid))}; sleep 600\n")
    watchdog = start(fprocess=f"sh {script}")
    with watchdog.connect() as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 8_000_000)
        running = int(wait_until(lambda: pid.exists() and pid.read_text()))
    wait_until(lambda: not is_running(running), message="the run is dead")
