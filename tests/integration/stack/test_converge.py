"""Bringing small real services to what is wanted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stack.embedded.client import SupervisorClient
from stack.embedded.converge import DesiredService, converge
from stack.embedded.spec import ServiceSpec
from stack.errors import DeployFailed
from tests.integration.stack.conftest import MakeSpec
from tests.support.http import accepts_connections
from tests.support.processes import free_port

SERVER = """
import http.server, sys
class Quiet(http.server.BaseHTTPRequestHandler):
    pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Quiet).serve_forever()
"""
FAILS = "import sys; print('no luck today'); sys.exit(7)"


def server(make_spec: MakeSpec, name: str = "server") -> DesiredService:
    port = free_port()
    return DesiredService(
        make_spec(name, SERVER, str(port)), lambda pid: "" if accepts_connections(port) else f"{port} is closed"
    )


def changed(desired: DesiredService) -> DesiredService:
    spec: ServiceSpec = replace(desired.spec, version="changed")
    return replace(desired, spec=spec)


def test_it_returns_once_every_service_is_ready(supervisor: SupervisorClient, make_spec: MakeSpec) -> None:
    said: list[str] = []
    desired = [server(make_spec, "one"), server(make_spec, "two")]
    plan = converge(supervisor, [desired], said.append)
    assert plan.start == ("one", "two")
    assert [one.missing(0) for one in desired] == ["", ""]
    assert [line.split(" (")[0] for line in said] == ["one: starting", "two: starting", "one: ready", "two: ready"]


def test_a_stage_starts_when_the_one_before_is_ready(supervisor: SupervisorClient, make_spec: MakeSpec) -> None:
    said: list[str] = []
    converge(supervisor, [[server(make_spec, "one")], [server(make_spec, "two")]], said.append)
    assert [line.split(" (")[0] for line in said] == ["one: starting", "one: ready", "two: starting", "two: ready"]


def test_nothing_is_done_when_nothing_differs(supervisor: SupervisorClient, make_spec: MakeSpec) -> None:
    desired = [server(make_spec)]
    converge(supervisor, [desired], lambda line: None)
    said: list[str] = []
    assert converge(supervisor, [desired], said.append).is_empty
    assert said == []


def test_only_the_service_that_differs_is_replaced(supervisor: SupervisorClient, make_spec: MakeSpec) -> None:
    one, two = server(make_spec, "one"), server(make_spec, "two")
    converge(supervisor, [[one, two]], lambda line: None)
    before = supervisor.services()
    plan = converge(supervisor, [[one, changed(two)]], lambda line: None)
    after = supervisor.services()
    assert plan.replace == ("two",)
    assert (before["one"].pid == after["one"].pid, before["two"].pid == after["two"].pid) == (True, False)


def test_a_service_that_is_not_wanted_any_more_is_stopped(supervisor: SupervisorClient, make_spec: MakeSpec) -> None:
    one, two = server(make_spec, "one"), server(make_spec, "two")
    converge(supervisor, [[one, two]], lambda line: None)
    converge(supervisor, [[one]], lambda line: None)
    assert list(supervisor.services()) == ["one"]


def test_a_service_that_keeps_ending_fails_with_the_end_of_its_log(
    supervisor: SupervisorClient, make_spec: MakeSpec
) -> None:
    desired = [DesiredService(make_spec("broken", FAILS), lambda pid: "never ready")]
    with pytest.raises(DeployFailed, match=r"(?s)broken ended 3 times in a row: exit code 7.*no luck today"):
        converge(supervisor, [desired], lambda line: None)


def test_a_service_that_never_gets_ready_fails_with_what_is_missing(
    supervisor: SupervisorClient, make_spec: MakeSpec
) -> None:
    desired = [DesiredService(make_spec("slow", "import signal; signal.pause()"), lambda pid: "its door is closed")]
    with pytest.raises(DeployFailed, match="slow is not ready after 0 s: its door is closed"):
        converge(supervisor, [desired], lambda line: None, timeout=0.2)
