"""An engine that goes in the middle of an answer, as when it is killed."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import docker
import pytest

from stack.build_recipes import Recipe
from stack.errors import StackError
from stack.swarm.building import BuildFailed, build
from stack.swarm.log_view import logs
from stack.swarm.registry import pull

SERVICE = {"ID": "s1", "Spec": {"Name": "small_worker", "TaskTemplate": {}}}


class Engine(BaseHTTPRequestHandler):
    """Lists one service; whatever else is asked for breaks off in the middle of a chunk."""

    def do_GET(self) -> None:
        if "/services?" in self.path:
            self._begin("Content-Length", str(len(json.dumps([SERVICE]))))
            self.wfile.write(json.dumps([SERVICE]).encode())
        else:
            self._break_off()

    def do_POST(self) -> None:
        self._break_off()

    def _break_off(self) -> None:
        self._begin("Transfer-Encoding", "chunked")
        self.wfile.write(b'40\r\n{"status')
        self.close_connection = True

    def _begin(self, name: str, value: str) -> None:
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header(name, value)
        self.end_headers()

    def address_string(self) -> str:
        return "client"

    def log_message(self, *args: Any) -> None:
        return


@pytest.fixture
def client(tmp_path: Path) -> Iterator[docker.DockerClient]:
    path = tmp_path / "engine.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), Engine) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with contextlib.closing(docker.DockerClient(base_url=f"unix://{path}", version="1.41")) as client:
                yield client
        finally:
            server.shutdown()
            thread.join()


def test_a_log_ends_with_the_reason(client: docker.DockerClient) -> None:
    shown: list[str] = []
    logs(client, "small", None, 5, False, shown.append)
    (line,) = shown
    assert line.startswith("worker       | the log ends here: ")


def test_a_build_fails_with_the_reason(client: docker.DockerClient) -> None:
    with pytest.raises(BuildFailed, match="cannot build the image one:1: the Docker Engine is gone"):
        build(client, "one:1", Recipe("FROM scratch\n", {}), {}, lambda line: None)


def test_a_pull_fails_with_the_reason(client: docker.DockerClient) -> None:
    with pytest.raises(StackError, match="cannot pull the image one:1: the Docker Engine is gone"):
        pull(client, "one:1", lambda line: None)
