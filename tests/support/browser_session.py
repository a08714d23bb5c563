"""A real Chromium that is led from page to page, and keeps the credentials that it was given once."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.browser import Browser

_PATIENCE = 30.0


class BrowserSession:
    """One window. It is steered over two pipes, with the DevTools protocol (messages in JSON, each ended by a NUL)."""

    def __init__(self, directory: Path) -> None:
        command = [*Browser(directory)._command, "--remote-debugging-pipe", "about:blank"]
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()

        def take_pipes() -> None:
            os.dup2(to_browser, 3)
            os.dup2(from_browser, 4)

        # Above 4, so that neither is in the way of what the browser expects there.
        to_browser, from_browser = _moved(to_browser), _moved(from_browser)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=take_pipes,
            close_fds=False,
        )
        os.close(to_browser)
        os.close(from_browser)
        os.set_blocking(self._in, False)
        self._buffer = b""
        self._last = 0
        targets = self._ask("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        attached = self._ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]

    def open(self, url: str) -> None:
        """Leads the window to `url`, as a bookmark would; returns when what it leads to is loaded, or was refused."""
        self._ask("Page.navigate", self._session, url=url)
        self.settle()

    def settle(self) -> None:
        """Waits until the page that is shown is loaded, and stays."""
        address, deadline = "", time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            time.sleep(0.3)
            now = self.value("document.readyState + ' ' + location.href")
            if now == address and now.startswith("complete"):
                return
            address = now
        raise AssertionError(f"the page does not settle: {address}")

    def value(self, expression: str) -> Any:
        """What `expression` is in the page that is shown."""
        answer = self._ask("Runtime.evaluate", self._session, expression=expression, awaitPromise=True)
        return answer["result"].get("value", "")

    def _ask(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                if "error" in answer:
                    # The page was left while it was asked.
                    return {"result": {}}
                return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE
        while b"\0" not in self._buffer:
            try:
                data = os.read(self._in, 1 << 16)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise AssertionError("the browser does not answer") from None
                time.sleep(0.01)
                continue
            assert data, "the browser has ended"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))

    def __enter__(self) -> BrowserSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._out)
        os.close(self._in)


def _moved(descriptor: int) -> int:
    moved = os.dup(descriptor)
    while moved < 10:
        moved = os.dup(descriptor)
    os.close(descriptor)
    return moved
