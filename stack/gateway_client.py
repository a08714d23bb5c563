"""The gateway's management API, as any client would use it."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import requests

from stack.credentials import Credentials
from stack.errors import Refused, StackError
from swarmfn.wire.functions import FunctionSpec

ANSWER_TIMEOUT = 30.0


class GatewayClient:
    """Talks to one gateway (host:port) as its administrator. Every method may raise StackError, which is Refused
    where it answered; `timeout` is in seconds. Close it after use."""

    def __init__(self, address: str, credentials: Credentials, timeout: float = ANSWER_TIMEOUT) -> None:
        self._address = address
        self._timeout = timeout
        self._session = requests.Session()
        self._session.auth = credentials.login
        # A proxy set for the internet has no business between us and our own gateway.
        self._session.trust_env = False

    def info(self) -> dict[str, Any]:
        """What the gateway says of itself; proves that it serves and lets us in."""
        reply = self._send("GET", "/system/info")
        self._check(reply, "ask for its version")
        return dict(reply.json())

    def limits(self) -> list[dict[str, Any]]:
        """What is limited, and how much there is now."""
        reply = self._send("GET", "/system/limits")
        self._check(reply, "ask for its limits")
        return list(reply.json())

    def warnings(self) -> list[str]:
        """What an operator should know about how open it is."""
        reply = self._send("GET", "/system/warnings")
        self._check(reply, "ask for its warnings")
        return list(reply.json())

    def functions(self) -> dict[str, dict[str, Any]]:
        """Every deployed function's status by name."""
        reply = self._send("GET", "/system/functions")
        self._check(reply, "list the functions")
        return {entry["name"]: entry for entry in reply.json()}

    def deploy(self, function: FunctionSpec) -> None:
        """Deploys or updates it, as faas-cli does: PUT first, POST once that says 404."""
        body = function.to_json()
        reply = self._send("PUT", "/system/functions", body)
        if reply.status_code == 404:
            reply = self._send("POST", "/system/functions", body)
        self._check(reply, f'deploy "{function.name}"')

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        try:
            return self._session.request(method, f"http://{self._address}{path}", json=body, timeout=self._timeout)
        except requests.RequestException as exc:
            raise StackError(f"the gateway at {self._address} does not answer: {exc}") from exc

    def _check(self, reply: requests.Response, what: str) -> None:
        if reply.status_code not in (200, 201, 202):
            raise Refused(f"cannot {what}: the gateway answers {reply.status_code}: {reply.text.strip()[:500]}")

    def __enter__(self) -> GatewayClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()
