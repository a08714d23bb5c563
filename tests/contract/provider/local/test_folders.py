"""Functions that run from their folder: what they see, and what they do not."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swarmfn.provider.local import LocalProvider, ResourceLimits
from tests.contract.provider.calls import call, call_function, wait_for_replicas
from tests.contract.provider.local_engine import LocalEngine
from tests.support.waiting import wait_until

SHOW = """
import json, os, sys

def handle(req):
    found = {}
    for name in ("flask", "redis", "gateway", "worker", "httptools"):
        try:
            __import__(name)
            found[name] = True
        except ImportError:
            found[name] = False
    return json.dumps({"env": dict(os.environ), "cwd": os.getcwd(), "imports": found, "prefix": sys.prefix})
"""


def shown(engine: LocalEngine, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call_function(engine, name).body)
    return found


def test_a_handler_runs_in_its_folder_with_nothing_of_the_platform(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("basic_auth_password", "secret")
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    provider = engine.provider
    provider.deploy(engine.handler("show", SHOW))
    seen = shown(engine, "show")
    assert "basic_auth_password" not in seen["env"]
    assert "VIRTUAL_ENV" not in seen["env"]
    assert not any(seen["imports"].values())
    assert seen["cwd"] == provider.get("show").spec.image.removeprefix("dir:")
    assert seen["prefix"] != sys.prefix
    assert seen["env"]["gateway_url"] == "http://127.0.0.1:8080"


def test_a_dockerfiles_env_is_read_and_env_vars_win(engine: LocalEngine, provider: LocalProvider) -> None:
    dockerfile = (
        'FROM python:3\nENV exec_timeout=7s greeting="good day" \\\n    who=image\nENV PATH=/home/app/bin:$PATH\n'
    )
    function = replace(engine.handler("show", SHOW, Dockerfile=dockerfile), env_vars={"who": "deployed"})
    provider.deploy(function)
    env = shown(engine, "show")["env"]
    assert (env["greeting"], env["who"], env["exec_timeout"]) == ("good day", "deployed", "7s")
    assert "/home/app/bin" not in env["PATH"]
    assert provider.table()["show"].exec_timeout == 7.0


def test_a_dockerfiles_fprocess_is_the_command(engine: LocalEngine, provider: LocalProvider) -> None:
    folder = engine.folder("count", {"Dockerfile": 'FROM alpine:3\nENV fprocess="wc -c"\n'})
    provider.deploy(replace(engine.echo("count"), image=f"dir:{folder}", env_process=""))
    assert call_function(engine, "count", "12345").body == "5"


def test_a_command_runs_in_the_mode_it_asks_for(engine: LocalEngine, provider: LocalProvider) -> None:
    folder = engine.folder("fail", {"run.sh": "echo part; echo to the log >&2; exit 3\n"})
    function = replace(engine.echo("fail"), image=f"dir:{folder}", env_process="sh run.sh")
    provider.deploy(replace(function, env_vars={"mode": "streaming"}))
    answer = call_function(engine, "fail")
    assert (answer.status, answer.body) == (200, "part")


def test_modules_of_a_function_do_not_take_the_place_of_the_watchdogs(
    engine: LocalEngine, provider: LocalProvider
) -> None:
    own = {"queue.py": "raise RuntimeError('imported by the watchdog')", "run.sh": "#!/bin/sh\necho fine\n"}
    folder = engine.folder("own", own)
    provider.deploy(replace(engine.echo("own"), image=f"dir:{folder}", env_process="./run.sh"))
    assert call_function(engine, "own").body == "fine"


def test_a_changed_file_rolls_the_function_when_it_is_deployed_again(
    engine: LocalEngine, provider: LocalProvider
) -> None:
    function = engine.handler("greet", "def handle(req):\n    return 'old'\n")
    provider.deploy(function)
    assert call_function(engine, "greet").body == "old"
    handler = Path(function.image.removeprefix("dir:")) / "handler.py"
    handler.write_text("def handle(req):\n    return 'edited'\n")
    provider.update(function)
    wait_until(lambda: call_function(engine, "greet").body == "edited")


def test_a_function_without_a_folder_runs_in_an_empty_one(engine: LocalEngine, provider: LocalProvider) -> None:
    provider.deploy(replace(engine.echo("where"), env_process="pwd"))
    folder = Path(call_function(engine, "where").body)
    assert list(folder.iterdir()) == []
    provider.remove("where")
    wait_until(lambda: not folder.exists())


def test_a_folder_that_disappears_is_the_problem_named(engine: LocalEngine, provider: LocalProvider) -> None:
    function = engine.script("gone", "echo here")
    provider.deploy(function)
    wait_for_replicas(provider, "gone", 1)
    folder = Path(function.image.removeprefix("dir:"))
    folder.rename(folder.with_name("moved"))
    provider.scale("gone", 0)
    wait_for_replicas(provider, "gone", 0)
    provider.scale("gone", 1)
    wait_until(lambda: str(folder) in provider.table()["gone"].problem)
    folder.with_name("moved").rename(folder)
    assert call_function(engine, "gone").body == "here"
    assert provider.table()["gone"].problem == ""


def test_logs_go_with_the_function(engine: LocalEngine, provider: LocalProvider) -> None:
    provider.deploy(
        engine.handler(
            "talk", "def handle(event, context):\n    print('hello log', flush=True)\n    return event.body\n"
        )
    )
    call_function(engine, "talk")
    wait_until(lambda: "hello log" in provider.logs("talk"))
    provider.remove("talk")
    wait_until(lambda: list((engine.state_dir / "logs" / "functions").iterdir()) == [])
    wait_until(lambda: not (engine.state_dir / "functions" / "talk").exists())


STAYS = """
import os, pathlib, time

def handle(req):
    own = pathlib.Path(os.environ["TMPDIR"])
    (own / "begun").touch()
    while not pathlib.Path(req).exists():
        time.sleep(0.01)
    return str([path.name for path in own.iterdir()])
"""


def test_a_call_under_way_keeps_its_files_when_the_function_is_removed(
    engine: LocalEngine, provider: LocalProvider, tmp_path: Path
) -> None:
    provider.deploy(engine.handler("stays", STAYS))
    wait_for_replicas(provider, "stays", 1)
    own = engine.state_dir / "functions" / "stays"
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(call_function, engine, "stays", str(tmp_path / "go on"))
        wait_until(lambda: list(own.glob("*/begun")))
        provider.remove("stays")
        wait_until(lambda: "stays" not in provider.table())
        time.sleep(0.3)  # it has been tidied up several times by then
        (tmp_path / "go on").touch()
        assert answer.result(30).body == "['begun']"
    wait_until(lambda: not own.exists())


def test_every_replica_has_a_port_of_its_own(engine: LocalEngine, provider: LocalProvider) -> None:
    provider.deploy(engine.identifying("who"))
    provider.scale("who", 4)
    addresses = wait_for_replicas(provider, "who", 4)
    assert len({call(engine, address).body for address in addresses}) == 4


WSGI = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"wsgi"]
"""
ASGI = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"asgi"})
"""


@pytest.mark.parametrize(("mode", "source"), [("wsgi", WSGI), ("asgi", ASGI)])
def test_an_application_runs_in_its_folder(
    engine: LocalEngine, provider: LocalProvider, mode: str, source: str
) -> None:
    provider.deploy(replace(engine.handler("web", source), env_vars={"mode": mode}))
    assert call_function(engine, "web").body == mode


def test_each_process_of_a_function_is_held_to_the_operators_limits(engine: LocalEngine) -> None:
    provider = engine.reopen(ResourceLimits(processes=20_000, files=512, address_space=4 * 2**30))
    provider.deploy(engine.script("held", "ulimit -n; ulimit -v; grep 'Max processes' /proc/self/limits"))
    files, kilobytes, processes = call_function(engine, "held").body.splitlines()
    assert (files, kilobytes) == ("512", "4194304")
    assert int(processes.split()[2]) <= 20_000


def test_no_limit_is_raised_above_what_the_gateway_has(engine: LocalEngine) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    provider = engine.reopen(ResourceLimits(files=2 * hard))
    provider.deploy(engine.script("held", "ulimit -n"))
    assert int(call_function(engine, "held").body) <= hard
