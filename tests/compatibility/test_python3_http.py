"""Handlers in the shapes of the public template python3-http answer as they do there.

Each is called twice: behind Flask on waitress, which hands over Flask's own request and makes the response of what
comes back (flask_server.py, in mode http), and in mode python.
"""

from __future__ import annotations

import ast
import http.client
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.processes import free_port
from tests.support.watchdog import Watchdog

HERE = Path(__file__).parent
HANDLERS = HERE / "handlers"
MODULES = ("queries", "headers", "results", "data", "responses", "with_flask")

# Of the server and of this answer, not of the handler.
_NOT_COMPARED = frozenset({"date", "server", "x-duration-seconds", "connection", "transfer-encoding", "content-length"})
# Both say 500; the words are the server's own.
FAILURES = frozenset(
    {
        "headers/missing_is_an_error",
        "headers/any_case",
        "results/fails",
        "results/returns_a_set",
        "data/no_form_in_json",
    }
)


class Call(NamedTuple):
    method: str = "GET"
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    rest: str = ""


_QUERY = Call(query="name=ann&page=7&a=1&a=2&tag=x&tag=y&n=1&n=two&n=3&verbose=Yes&empty=&ratio=1.5")
_HEADERS = Call(
    "POST",
    headers=(
        ("X-Api-Key", "k"), ("x-part", "1"), ("X-PART", "2"), ("X-Count", "3"), ("X-Bad", "no"),
        ("Content-Type", "application/json"), ("Authorization", "Bearer sesame"), ("X-3d-name", "n"),
        ("X_Under_Score", "dropped"),
    ),
    body=b'{"a": 1}',
)  # fmt: skip
_POST = Call("POST", body=b"nonsense")

CALLS = {
    "queries": [_QUERY, Call(), Call(query="name=%FF%fe%C3%BC+x&page=x&%C3%BC=1&a;b&&=&n=1")],
    "headers": [_HEADERS, Call()],
    "results": [_POST, Call(), Call("PUT", body=b"5", rest="/a%20b/%C3%BC/c//d")],
    "data": [Call()],
    "responses": [Call(query="x=1"), Call("HEAD")],
    "with_flask": [
        Call("POST", "name=a%3Cb&x=1", (("Content-Type", "application/json"),), b'{"q": 1}'),
        Call("POST", "", (("Content-Type", "application/x-www-form-urlencoded"),), b"user=ann&n=1"),
        Call("GET", "", (("Range", "bytes=2-4"),)),
    ],
}


def _names() -> list[str]:
    """Read, not imported: modules of these names must not lie in the way of other tests'."""
    return [
        f"{module}/{one.name}"
        for module in MODULES
        for one in ast.parse((HANDLERS / f"{module}.py").read_text()).body
        if isinstance(one, ast.FunctionDef)
    ]


NAMES = _names()


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


@pytest.fixture(scope="module")
def behind_flask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watchdog]:
    port = free_port()
    settings = {
        "mode": "http",
        "fprocess": f"{sys.executable} {HERE / 'flask_server.py'} {HANDLERS} {port}",
        "upstream_url": f"http://127.0.0.1:{port}",
    }
    with Watchdog(tmp_path_factory.mktemp("flask") / "log", settings) as watchdog:
        yield watchdog


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[bool, Watchdog]]:
    """One for handlers that use Flask themselves; in the other there is none."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("python")
        yield {
            uses_flask: stack.enter_context(
                Watchdog(
                    folder / f"{uses_flask}.log",
                    {"handler_path": str(HANDLERS), "IMPORTS": "with_flask" if uses_flask else "queries"},
                )
            )
            for uses_flask in (False, True)
        }


def test_there_are_enough_of_them() -> None:
    assert len(NAMES) >= 60


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_the_same(behind_flask: Watchdog, ours: Mapping[bool, Watchdog], name: str) -> None:
    module = name.split("/")[0]
    for call in CALLS[module]:
        expected, seen = answer_of(behind_flask, name, call), answer_of(ours[module == "with_flask"], name, call)
        if expected.status == 500:
            assert name in FAILURES
            assert seen.status == 500
        else:
            assert seen == expected


def answer_of(watchdog: Watchdog, name: str, call: Call) -> Answer:
    connection = http.client.HTTPConnection(watchdog.host, watchdog.port, timeout=30)
    try:
        connection.putrequest(call.method, f"/{name}{call.rest}" + (f"?{call.query}" if call.query else ""))
        for header, value in call.headers:
            connection.putheader(header, value)
        if call.body:
            connection.putheader("Content-Length", str(len(call.body)))
        connection.endheaders(call.body or None)
        response = connection.getresponse()
        headers = sorted(
            (header.lower(), value) for header, value in response.getheaders() if header.lower() not in _NOT_COMPARED
        )
        return Answer(response.status, headers, response.read())
    finally:
        connection.close()
