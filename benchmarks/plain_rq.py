"""The plain way with RQ, as the baseline: a Flask route on waitress that calls Queue.enqueue, and a job that POSTs.

`python plain_rq.py PORT REDIS_PORT REDIS_PASSWORD [FUNCTION_ADDRESS]` serves it.
"""

from __future__ import annotations

import sys

import requests
import waitress
from flask import Flask, request
from redis import Redis
from rq import Queue

_session = requests.Session()


def post(url: str, body: bytes) -> int:
    """The job: one POST over one kept session; the status is its result."""
    return _session.post(url, data=body, timeout=60).status_code


def main() -> None:
    port, redis_port, password = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    function = sys.argv[4] if len(sys.argv) > 4 else "noop:8080"
    app = Flask(__name__)
    # By name: RQ does not take functions of a program's main module.
    queues: dict[str, Queue] = {}
    connection = Redis(port=redis_port, password=password)

    @app.post("/async-function/<name>")
    def accept(name: str) -> tuple[str, int, dict[str, str]]:
        queue = queues.get(name) or queues.setdefault(name, Queue(name, connection=connection))
        job = queue.enqueue("plain_rq.post", f"http://{function}/", request.get_data())
        return "", 202, {"X-Call-Id": job.id}

    waitress.serve(app, host="127.0.0.1", port=port, threads=64, connection_limit=1000)


if __name__ == "__main__":
    main()
