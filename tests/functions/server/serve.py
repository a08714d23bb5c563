"""A function with an HTTP server of its own, for mode=http: `python3 serve.py NAME PORT`.

It answers each request in a thread. NAME is a method of `Functions`; standard library only.
"""

from __future__ import annotations

import http.server
import json
import os
import select
import signal
import sys
import threading
import time


class Functions(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def echo(self) -> None:
        """The body as it came, with the request's media type; how the request looked is in X-Seen."""
        seen = {"method": self.command, "target": self.path, "headers": self.headers.items()}
        mirrored = self.headers.get("Content-Type", "application/octet-stream")
        self.answer(200, self.body(), ("X-Seen", json.dumps(seen)), ("Content-Type", mirrored))

    def sleepy(self) -> None:
        """Sleeps as many seconds as the body says."""
        seconds = self.body().decode()
        time.sleep(float(seconds))
        self.answer(200, f"slept {seconds}\n".encode())

    def tool(self) -> None:
        """What the first part of the path names; for what a server of a function's own may do."""
        getattr(self, "do_" + self.path.strip("/").partition("/")[0])()

    def do_pid(self) -> None:
        self.answer(200, b"%d" % os.getpid())

    def do_status(self) -> None:
        status = int(self.path.rpartition("/")[2])
        self.answer(
            status, b"", ("X-Made", "yes"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Connection", "X-Made")
        )

    def do_exit(self) -> None:
        print("about to exit", flush=True)
        os._exit(int(self.path.rpartition("/")[2]))

    def do_kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def do_print(self) -> None:
        print("on standard output", flush=True)
        print("on standard error", file=sys.stderr, flush=True)
        self.answer(200, b"printed")

    def do_connection(self) -> None:
        """The client's port: the same one when a connection is used again."""
        self.answer(200, b"%d" % self.client_address[1])

    def do_echo(self) -> None:
        self.answer(200, self.body())

    def do_through(self) -> None:
        """The body, while it comes."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in self.pieces():
            self.chunk(piece)
        self.chunk(b"")

    def do_hang(self) -> None:
        """Answers nothing, and ends when its client has gone."""
        self.body()
        select.select([self.connection], [], [])
        self.close_connection = True

    def do_close(self) -> None:
        """No length: the end of the connection is the end of the body."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"until the end")
        self.close_connection = True

    def do_pieces(self) -> None:
        """Chunks, the second one once the file named in a header is there."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.chunk(b"first")
        while not os.path.exists(self.headers["X-File"]):
            time.sleep(0.01)
        self.chunk(b"second")
        self.chunk(b"")

    def do_half(self) -> None:
        """Less than it promised."""
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"half")
        self.close_connection = True

    def do_garbage(self) -> None:
        self.wfile.write(b"this is not a response\r\n\r\n")
        self.close_connection = True

    def do_early(self) -> None:
        """Answers before it has read the body, and does not read it."""
        self.send_response(413)
        self.send_header("Content-Length", "9")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"too large")
        self.close_connection = True

    def do_slow_body(self) -> None:
        """One chunk, then nothing more for a minute."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.chunk(b"first")
        self.body()
        select.select([self.connection], [], [], 60)
        self.close_connection = True

    def do_wait(self) -> None:
        """Writes to the file named in a header when it begins, and when its client has gone."""
        with open(self.headers["X-File"], "a") as file:
            print("began", file=file, flush=True)
            select.select([self.connection], [], [], 60)
            if not self.connection.recv(1):
                print("gone", file=file, flush=True)
        self.close_connection = True

    def do_large(self) -> None:
        """As many MiB as the path says, without a length."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for _ in range(int(self.path.rpartition("/")[2])):
            self.chunk(bytes(1 << 20))
        self.chunk(b"")

    def do_count(self) -> None:
        """The length of the body, read as it comes."""
        self.answer(200, b"%d" % sum(map(len, self.pieces())))

    def body(self) -> bytes:
        return b"".join(self.pieces())

    def pieces(self):  # type: ignore[no-untyped-def]
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        missing = int(self.headers.get("Content-Length") or 0)
        while missing and (piece := self.rfile.read(min(missing, 1 << 20))):
            missing -= len(piece)
            yield piece

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        return


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


def main(name: str, port: int) -> None:
    function = getattr(Functions, name)
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        setattr(Functions, f"do_{method}", function)
    server = Server(("127.0.0.1", port), Functions)

    def stop(*_: object) -> None:
        print("told to stop", flush=True)
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    server.serve_forever()
    print("stopped by itself", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
