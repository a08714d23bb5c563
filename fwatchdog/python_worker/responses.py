"""Results that answer by themselves: response objects of Flask, Werkzeug or WebOb, and other WSGI applications."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from fwatchdog.python_worker.lane import Call
from fwatchdog.python_worker.results import Parts, checked_headers, checked_status
from fwatchdog.python_worker.wsgi import WsgiApplication, wsgi_environ


class FlaskContexts:
    """For handlers that import Flask: what it knows of the current request (`request`, `jsonify`, `send_file`)."""

    def __init__(self, has_threads: bool) -> None:
        self._has_threads = has_threads
        self._app: Any = None

    def of(self, head: Mapping[str, Any], body: bytes) -> AbstractContextManager[Any]:
        """A context with Flask's view of this request; an empty one where the module is another `flask`."""
        app = self._app or self._make()
        if app is None:
            return nullcontext()
        context: AbstractContextManager[Any] = app.request_context(
            wsgi_environ(head, io.BytesIO(body), self._has_threads)
        )
        return context

    def _make(self) -> Any:
        make = getattr(sys.modules["flask"], "Flask", None)
        if isinstance(make, type):
            self._app = make("function", root_path=os.getcwd(), instance_path=os.getcwd(), static_folder=None)
        return self._app


def serve_application(parts: Parts, call: Call, has_threads: bool) -> None:
    """Answers with what the application in `parts` answers, less what the parts say otherwise."""
    application: Callable[..., Iterable[bytes]] = parts.body

    def changed(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if parts.status is not None:
                status = str(checked_status(parts.status))
            return start_response(status, _replaced(headers, parts.headers), exc_info)

        return application(environ, start)

    WsgiApplication(changed, has_threads).serve(call)


def _replaced(headers: list[tuple[str, str]], given: Any) -> list[tuple[str, str]]:
    more = checked_headers(given)
    names = {name.lower() for name, _ in more}
    return [pair for pair in headers if pair[0].lower() not in names] + more
