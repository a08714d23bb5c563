"""Anonymous clients that take what they can: they are refused or wait, gateway and worker stay within their memory, and
a bystander's calls go on without an error, each of them once.

Some attacks come in their long form only; their short ones are among the tests of the HTTP API (upload_budget,
slow_readers, crowd).
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarmfn.wire.descriptors import allow_many_descriptors
from tests.support.attacked import FUNCTIONS, INNOCENT, Form, Scene, Watch, platform
from tests.support.bystander import Bystander
from tests.support.gateway import DATA_PLANES
from tests.support.raw_http import RawClient, Truncated
from tests.support.waiting import wait_until

MIB = 1 << 20
LARGE = 6_000_000
FORKED_AT_ONCE = 128
QUEUES_OF_CALLBACKS = 64

FORMS = {
    "short": Form(seconds=0.5, times=1, budget=16 * MIB, limit=256 * MIB),
    # The limit is what the compose file gives each of the two.
    "long": Form(seconds=15.0, times=10, budget=128 * MIB, limit=512 * MIB),
}

Attack = Callable[[Scene], None]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], Scene]]:
    """One for all attacks of a form on a front end."""
    allow_many_descriptors()
    with contextlib.ExitStack() as stack:

        @functools.cache
        def scene(form: str, data_plane: str) -> Scene:
            directory = tmp_path_factory.mktemp(f"{form}-{data_plane}")
            return stack.enter_context(platform(directory, data_plane, FORMS[form]))

        yield scene


def leave_uploads_unfinished(scene: Scene) -> None:
    for _ in range(120):
        client = scene.connect()
        client.send(b"POST /async-function/innocent HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (8 * MIB))
        with contextlib.suppress(OSError):  # it was refused
            for _ in range(8):
                client.send(bytes(MIB - 1))
    time.sleep(scene.form.seconds)


def read_results_slowly(scene: Scene) -> None:
    deploy_large(scene)
    call_id = scene.send("large")
    scene.stage.final(call_id)
    for _ in range(40):
        client = scene.connect()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.request("GET", f"/async-function/{call_id}/result")
    time.sleep(scene.form.seconds)


def stay_connected(scene: Scene) -> None:
    for _ in range(6_000):
        with contextlib.suppress(OSError):
            scene.connect()
    time.sleep(scene.form.seconds)


def begin_and_stop(scene: Scene) -> None:
    for _ in range(6_000):
        with contextlib.suppress(OSError):
            scene.connect().send(b"POST /function/innocent HTTP/1.1\r\n")
    time.sleep(scene.form.seconds)


def cause_large_answers(scene: Scene) -> None:
    """Those with a callback are kept whole until it is delivered, which it never is."""
    deploy_large(scene)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        for number in range(40 + 8 * scene.form.times):
            scene.send("large", [("X-Callback-Url", url)] if number % 4 == 0 else None)
        wait_for_calls(scene, "large")


def cause_large_answers_that_kill_workers(scene: Scene) -> None:
    """Whatever the kernel would kill a worker process for."""
    deploy_large(scene)
    for _ in range(1 + scene.form.times // 5):
        for _ in range(5 * scene.form.times):
            scene.send("large")
        kill_a_worker_process(scene)
        wait_for_calls(scene, "large")


def kill_a_worker_process(scene: Scene) -> None:
    pid = scene.worker.children()[0]
    wait_until(lambda: scene.stage.queue("large").started_job_registry.count, message="large answers are under way")
    os.kill(pid, signal.SIGKILL)
    scene.deaths += 1
    wait_until(lambda: set(scene.worker.children()) - {pid}, message="another one is there")


def make_up_receivers(scene: Scene) -> None:
    """A third of them hangs, a third refuses, a third has no address; each is asked again and again."""
    if not is_deployed(scene, "echo"):
        scene.gateway.deploy("echo", image=f"dir:{FUNCTIONS / 'echo'}", envProcess="")
    count = 600 if scene.form.is_long else 40
    with socket.create_server(("", 0), backlog=4096) as mute:
        port = mute.getsockname()[1]
        seen = []
        for start in (0, 1_000):
            for number in range(start, start + count):
                low, high = number % 250 + 1, number // 250
                hosts = (f"127.9.{high}.{low}:{port}", f"127.8.{high}.{low}:1", f"receiver-{number}.invalid")
                for host in hosts:
                    scene.send("echo", [("X-Callback-Url", f"http://{host}/function/{number}")])
            wait_for_calls(scene, "echo")
            assert 0 < sum(name.startswith("callbacks:") for name in queues(scene)) <= QUEUES_OF_CALLBACKS
            seen.append(series(scene))
        time.sleep(scene.form.seconds)
    assert seen[0] == seen[1]


def start_processes(scene: Scene) -> None:
    """More calls at a time of a function that starts one for each than there may be."""
    seconds = f"{1 + scene.is_fastlane + scene.gateway.port / 1e6:f}"  # by which its processes are recognised
    count = FORKED_AT_ONCE + 30 * scene.form.times if scene.is_fastlane else 30 * scene.form.times
    scene.gateway.deploy("slow", envProcess=f"sleep {seconds}")
    end, statuses = time.monotonic() + scene.form.seconds, Counter[int]()
    with Watch(lambda: {"processes": processes("sleep", seconds)}) as watch:
        while not statuses or time.monotonic() < end:
            with contextlib.ExitStack() as attack:
                clients = [attack.enter_context(RawClient(scene.gateway.address)) for _ in range(count)]
                for client in clients:
                    client.request("POST", "/function/slow", body=b"")
                for client in clients:
                    answer = client.answer("POST")
                    statuses[answer.status] += 1
                    assert answer.status == 200 or answer.header("Retry-After") or "limit" in answer.text, answer
    assert set(statuses) == {200, 429} if scene.is_fastlane else set(statuses) <= {200, 429, 503}, statuses
    assert 0 < watch.most["processes"] <= FORKED_AT_ONCE


def send_bodies_for_nothing(scene: Scene) -> None:
    """600 MiB to what takes no body, or to nobody."""
    end, sent = time.monotonic() + scene.form.seconds, 0
    with Watch(lambda: {"stored": stored(scene)}) as watch:
        while sent < 8 or time.monotonic() < end:
            target, status = [("/system/functions", 401), ("/nowhere", 401), ("/ui/", 401), ("/healthz", 405)][sent % 4]
            sent += 1
            with RawClient(scene.gateway.address) as client:
                client.send(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (target.encode(), 600 * MIB))
                with contextlib.suppress(OSError):  # it was refused
                    for _ in range(64):
                        client.send(bytes(MIB))
                answer = client.answer("POST")
                assert answer.status == status, answer
    assert watch.most["stored"] == 0


def make_up_methods(scene: Scene) -> None:
    """And paths, and names of functions."""
    seen = []
    for start in (0, 10_000):
        for number in range(start, start + 30 * scene.form.times):
            # The last one is not a method to the parser of the fast lane.
            for method in ("PROPFIND", f"M{number}"):
                for target in ("/function/innocent", f"/function/f{number}", f"/system/s{number}", "/healthz"):
                    assert scene.call(method, target).status in (400, 401, 404, 405), (method, target)
            assert scene.call("POST", f"/async-function/f{number}").status == 404
        seen.append(series(scene))
    assert seen[0] == seen[1]


def is_deployed(scene: Scene, name: str) -> bool:
    return scene.gateway.get(f"/system/function/{name}").status_code == 200


def deploy_large(scene: Scene) -> None:
    if not is_deployed(scene, "large"):
        scene.gateway.deploy("large", envProcess=f"head -c {LARGE} /dev/zero", envVars={"mode": "streaming"})


def wait_for_calls(scene: Scene, name: str) -> None:
    wait_until(lambda: scene.stage.counts(name).keys() <= {"finished"}, 120, f"calls of {name} have ended")


def series(scene: Scene) -> set[str]:
    """What the gateway's metrics are about."""
    path = "/metrics"
    scene.gateway.get(path)  # which the next one reports
    names = [line.rpartition(" ")[0] for line in scene.gateway.get(path).text.splitlines() if line[0] != "#"]
    passing = ("_bucket{", "swarmfn_queue_oldest")
    return {re.sub(r"callbacks:\d+", "callbacks", name) for name in names if not any(word in name for word in passing)}


def queues(scene: Scene) -> set[str]:
    """Those that the dashboard shows."""
    return {queue["name"] for queue in scene.gateway.get("/ui/rq/0/data/queues.json").json()["queues"]}


def processes(*words: str) -> int:
    """How many run that were started with these words."""
    wanted, found = "\0".join([*words, ""]).encode(), 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found += (folder / "cmdline").read_bytes() == wanted
    return found


def stored(scene: Scene) -> int:
    """Bytes in temporary files of the gateway's, those included that have no name any more."""
    total = 0
    for file in Path(f"/proc/{scene.gateway.process.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(file).startswith(str(scene.temporary)):
                total += file.stat().st_size
    return total


ON_BOTH = [start_processes, send_bodies_for_nothing, make_up_methods]
LONG_ONLY = [leave_uploads_unfinished, read_results_slowly, stay_connected, begin_and_stop]
OF_THE_WORKER = [cause_large_answers, cause_large_answers_that_kill_workers, make_up_receivers]


def cases() -> Iterator[object]:
    for form in FORMS:
        marks = [pytest.mark.long] if form == "long" else []
        for data_plane in DATA_PLANES:
            attacks = [*ON_BOTH, *(LONG_ONLY if form == "long" else [])]
            attacks += OF_THE_WORKER if data_plane == "fastlane" else []
            for attack in attacks:
                yield pytest.param(form, data_plane, attack, id=f"{form}-{data_plane}-{attack.__name__}", marks=marks)


@pytest.mark.parametrize(("form", "data_plane", "attack"), list(cases()))
def test_a_bystander_notices_nothing(
    scenes: Callable[[str, str], Scene], form: str, data_plane: str, attack: Attack
) -> None:
    scene = scenes(form, data_plane)
    before, deaths = scene.resident(), scene.deaths
    with Bystander(scene.gateway.address, INNOCENT, scene.receiver.url) as control:
        time.sleep(scene.form.seconds)
    with (
        Watch(scene.resident) as watch,
        Bystander(scene.gateway.address, INNOCENT, scene.receiver.url) as bystander,
        scene.attackers,
    ):
        attack(scene)
    print(f"\n{attack.__name__}: p99 {bystander.p99 * 1000:.1f} ms, {control.p99 * 1000:.1f} ms without", end="; ")
    figures = [f"{name} {before[name] // MIB} MiB, at most {watch.most[name] // MIB} MiB" for name in before]
    print(f"{len(bystander.seconds)} requests; {'; '.join(figures)}")
    assert (control.problems, bystander.problems) == ([], [])
    assert max(watch.most.values()) < scene.form.limit, watch.most
    scene.wait_until_all_has_ended()
    accepted = {*control.accepted, *bystander.accepted}
    records = [scene.stage.record(call_id) for call_id in accepted]
    assert {(record.state, record.platform_failures) for record in records} == {("succeeded", 0)}
    runs = scene.runs()
    assert {runs[call_id] for call_id in accepted} <= set(range(1, 2 + scene.deaths - deaths))
    wait_until(lambda: accepted <= scene.told(), 60, "the bystander's callbacks are delivered")
    wait_until(lambda: is_served(scene), message="the attackers' address is served again")


def is_served(scene: Scene) -> bool:
    with contextlib.suppress(OSError, Truncated):
        return scene.call("POST", f"/function/{INNOCENT}", body=b"x").status == 200
    return False
