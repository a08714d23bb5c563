"""Which of the addresses that a gateway may have is the one to tell."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from stack.credentials import Credentials
from stack.swarm.addresses import likely_address

CREDENTIALS = Credentials("admin", "right", "")
NOBODY = "127.0.0.1:1"


class _Gateway(BaseHTTPRequestHandler):
    """Lets in a client that has the password."""

    def do_GET(self) -> None:
        is_known = self.headers["Authorization"] == "Basic YWRtaW46cmlnaHQ="
        self.send_response(200 if is_known else 401)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *said: object) -> None:
        """Nothing."""


@pytest.fixture
def gateway() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Gateway) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_address_that_lets_us_in_is_told(gateway: str) -> None:
    assert likely_address([NOBODY, gateway], CREDENTIALS) == gateway


def test_another_stacks_gateway_is_not_ours(gateway: str) -> None:
    assert likely_address([gateway, NOBODY], Credentials("admin", "wrong", "")) == gateway
    assert likely_address([gateway, NOBODY], CREDENTIALS) == gateway
    assert likely_address([NOBODY, gateway], Credentials("admin", "wrong", "")) == NOBODY


def test_the_first_one_will_do_where_nothing_is_known() -> None:
    assert likely_address([NOBODY, "127.0.0.1:2"], None) == NOBODY
    assert likely_address([], CREDENTIALS) is None
