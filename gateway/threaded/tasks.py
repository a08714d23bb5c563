"""Answering a request, by the Flask app or with the reason why it is refused."""

from __future__ import annotations

import math
from typing import Any

from waitress.task import ErrorTask, WSGITask

from gateway.api.head_checks import Refusal
from gateway.api.public_port import IS_PUBLIC
from gateway.threaded.parser import AnsweredByHead, NoRoom
from swarmfn.wire.headers import INTERNAL


class AppTask(WSGITask):  # type: ignore[misc]
    """waitress would keep a connection whose `Connection` names more than `close`, and answer HEAD with the end of a
    chunked body."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[IS_PUBLIC] = self.channel.server.is_public
        return environ

    def build_response_header(self) -> bytes:
        if not self.request.keep_alive:
            self.set_close_on_finish()
        head: bytes = super().build_response_header()
        if self.request.command == "HEAD":
            self.chunked_response = False
        return head

    def write(self, data: bytes) -> None:
        data = b"" if self.request.command == "HEAD" else data
        if self.wrote_header or not data:
            super().write(data)
        else:
            with self.channel.in_one_piece():
                super().write(data)


class RefusalTask(ErrorTask):  # type: ignore[misc]
    def execute(self) -> None:
        error = self.request.error
        if isinstance(error, AnsweredByHead):
            self._answer(error.refusal)
            return
        text = f"{error.body}.\n".encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [("Content-Type", "text/plain; charset=utf-8"), (INTERNAL, "gateway")]
        if isinstance(error, NoRoom):
            self.response_headers.append(("Retry-After", str(math.ceil(error.retry_after))))
            self.channel.lingers = True
        self.set_close_on_finish()
        self.content_length = len(text)
        self.write(text)

    def _answer(self, refusal: Refusal) -> None:
        self.status = refusal.status
        self.response_headers += refusal.headers
        self.channel.lingers = True
        self.set_close_on_finish()
        self.content_length = len(refusal.body)
        self.write(b"" if self.request.command == "HEAD" else refusal.body)
