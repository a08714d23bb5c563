"""The gateway's management API, as any client would use it."""

from __future__ import annotations

from types import TracebackType
from typing import Any, NotRequired, TypedDict

import requests

from stack.credentials import Credentials
from stack.errors import Refused, StackError
from swarmfn.wire.functions import FunctionSpec

ANSWER_TIMEOUT = 30.0


class FunctionDocument(TypedDict):
    """A function's status as the gateway lists it; there is more in it, which FunctionSpec reads."""

    name: str
    replicas: int
    availableReplicas: int
    problem: NotRequired[str]
    rollout: NotRequired[str]


class LimitDocument(TypedDict):
    """What is limited by a setting, and how much there is now. limit 0: nothing; now None: not known."""

    setting: str
    unit: str
    limit: int | None
    now: int | None
    queue: NotRequired[str]


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

    def check_access(self) -> None:
        """Returns if it serves and lets us in."""
        self._ask("/system/info", "ask for its version")

    def limits(self) -> list[LimitDocument]:
        """What is limited, and how much there is now."""
        rows: list[LimitDocument] = self._ask("/system/limits", "ask for its limits")
        return rows

    def warnings(self) -> list[str]:
        """What an operator should know about how open it is."""
        sentences: list[str] = self._ask("/system/warnings", "ask for its warnings")
        return sentences

    def functions(self) -> dict[str, FunctionDocument]:
        """Every deployed function's status by name."""
        entries: list[FunctionDocument] = self._ask("/system/functions", "list the functions")
        return {entry["name"]: entry for entry in entries}

    def deploy(self, function: FunctionSpec) -> None:
        """Deploys or updates it, as faas-cli does: PUT first, POST once that says 404."""
        body = function.to_json()
        reply = self._send("PUT", "/system/functions", body)
        if reply.status_code == 404:
            reply = self._send("POST", "/system/functions", body)
        self._check(reply, f'deploy "{function.name}"')

    def _ask(self, path: str, what: str) -> Any:
        """The document that it answers with."""
        reply = self._send("GET", path)
        self._check(reply, what)
        try:
            return reply.json()
        except ValueError as exc:
            raise Refused(f"cannot {what}: what answers at {self._address} is not a gateway.") from exc

    def _send(self, method: str, path: str, body: dict[str, object] | None = None) -> requests.Response:
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
