"""A watchdog in which there is nothing of ours, for an image: the contract of OpenFaaS's watchdogs and no more.

START_DELAY and NEVER_LISTEN are for tests of images that are slow, or broken. It answers with its upper-cased body,
and sleeps for a body `sleep SECONDS`.
"""

import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOCK = "/tmp/.lock"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(b"OK" if self.path == "/_/health" else b"GET")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if body.startswith(b"sleep "):
            with open("/tmp/busy", "w"):
                pass
            time.sleep(float(body.split()[1]))
        self.answer(body.upper())

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 100


def main() -> None:
    time.sleep(float(os.environ.get("START_DELAY", "0")))
    if os.environ.get("NEVER_LISTEN"):
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        while True:
            signal.pause()
    server = Server(("", 8080), Handler)

    def stop(*_: object) -> None:
        if os.path.exists(LOCK):
            os.unlink(LOCK)
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    with open(LOCK, "w"):
        pass
    server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    main()
