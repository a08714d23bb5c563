"""Just enough of a Docker Engine's API to be asked what it is; tests of the real thing use `docker_engine`."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any


@contextmanager
def stub_engine(path: Path, swarm: Mapping[str, Any]) -> Iterator[str]:
    """An engine on a unix socket whose place in a swarm is `swarm`, as in GET /info. Its address as in DOCKER_HOST."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            last = self.path.rpartition("/")[2]
            answers = {"version": {"ApiVersion": "1.41"}, "info": {"Name": "here", "Swarm": dict(swarm)}, "_ping": "OK"}
            body = json.dumps(answers.get(last, {})).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "client"

        def log_message(self, *args: Any) -> None:
            return

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"unix://{path}"
        finally:
            server.shutdown()
            thread.join()
