"""mode=fork: a process per call, the request on its standard input, the answer on its standard output."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import time

from fwatchdog.children import Child, Environment, Nursery, find_program
from fwatchdog.function_log import FunctionLog
from fwatchdog.http.bodies import RequestBody
from fwatchdog.http.messages import Request, Response, text_response
from fwatchdog.modes import CannotStart
from fwatchdog.modes.cgi import cgi_variables
from fwatchdog.modes.marshalling import marshalled
from fwatchdog.modes.outcomes import about, call_id_of, duration_header, killed_for_time
from fwatchdog.pipes import PipeReader, PipeWriter
from fwatchdog.settings import Settings

logger = logging.getLogger(__name__)

_PIPE_CAPACITY = 64 * 1024
_SNIFFED = 512
_TEXT = "text/plain; charset=utf-8"
_BINARY = "application/octet-stream"
_NOT_IN_TEXT = bytes(byte for byte in range(32) if byte not in b"\t\n\r\f\x1b")


class ForkMode:
    """Runs the command once for each call. The output is held back to its end: only then is the status known."""

    def __init__(self, settings: Settings, nursery: Nursery) -> None:
        self._settings = settings
        self._nursery = nursery
        self._program = ""
        self._environment = dict(os.environb)

    async def start(self) -> None:
        name = self._settings.command[0]
        program = find_program(name, os.environ.get("PATH", os.defpath))
        if program is None:
            raise CannotStart(f'fprocess: there is no program "{name}" that can be executed')
        self._program = program

    async def run(self, request: Request, timeout: float) -> Response:
        body = await marshalled(request) if self._settings.marshal_request else request.body
        started = time.monotonic()
        call_id = call_id_of(request)
        try:
            run = self._begin(request, call_id)
        except (OSError, ValueError) as exc:
            request.body.discard()
            return self._not_started(exc, call_id)
        try:
            finished = await run.finish(body, timeout)
        finally:
            run.end()
        seconds = time.monotonic() - started
        if not finished:
            return killed_for_time(timeout, seconds, call_id)
        return self._answer(request, run, seconds, call_id)

    async def close(self) -> None:
        self._nursery.kill_all()

    def _begin(self, request: Request, call_id: str) -> ForkedRun:
        environment = self._environment
        if self._settings.cgi_headers:
            environment = {**environment, **cgi_variables(request)}
        log = None
        if not self._settings.combine_output:
            log = FunctionLog(self._settings.prefix_logs, self._settings.log_buffer_size, call_id)
        return ForkedRun(self._nursery, self._program, self._settings.command, environment, log)

    def _not_started(self, exc: Exception, call_id: str) -> Response:
        logger.error("the function's process was not started: %s", exc, extra=about("spawn_failed", call_id))
        is_short = isinstance(exc, OSError) and exc.errno in (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
        return text_response(503 if is_short else 500, f"The function's process was not started: {exc}\n")

    def _answer(self, request: Request, run: ForkedRun, seconds: float, call_id: str) -> Response:
        exit_code = run.child.exit_code
        size = sum(map(len, run.output))
        if exit_code:
            ending = _ending(exit_code)
            extra = about("run_failed", call_id, exit_code=exit_code)
            logger.warning("the function failed: %s, with %d bytes of output", ending, size, extra=extra)
            headers = [("Content-Type", _TEXT), duration_header(seconds)]
            return Response(500, headers, [f"{ending}\n".encode(), *run.output])
        if self._settings.write_debug:
            logger.info("wrote %d bytes after %.6f s", size, seconds, extra=about("run_ended", call_id))
        return Response(200, [("Content-Type", self._content_type(request, run)), duration_header(seconds)], run.output)

    def _content_type(self, request: Request, run: ForkedRun) -> str:
        mirrored = self._settings.content_type or request.header("content-type")
        if mirrored:
            return mirrored
        sample = run.output[0][:_SNIFFED] if run.output else b""
        return _TEXT if sample == sample.translate(None, _NOT_IN_TEXT) else _BINARY


class ForkedRun:
    """One process and its pipes. `output` is what it wrote; with a `log`, standard error goes there instead."""

    def __init__(
        self,
        nursery: Nursery,
        program: str,
        command: tuple[str, ...],
        environment: Environment,
        log: FunctionLog | None,
    ) -> None:
        self.output: list[bytes] = []
        self._log = log
        self._done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._feeding: asyncio.Task[None] | None = None
        theirs: list[int] = []
        ours: list[int] = []
        try:
            for has_pipe, is_input in ((True, True), (True, False), (log is not None, False)):
                if has_pipe:
                    read, write = os.pipe2(os.O_CLOEXEC)
                    theirs.append(read if is_input else write)
                    ours.append(write if is_input else read)
            self.child: Child = nursery.spawn(program, command, environment, theirs[0], theirs[1], theirs[-1])
        except BaseException:
            _close_all(ours)
            raise
        finally:
            _close_all(theirs)
        self._stdin = PipeWriter(ours[0])
        self._readers = [PipeReader(ours[1], self.output.append, self._check_done)]
        if log is not None:
            self._readers.append(PipeReader(ours[2], log.feed, self._check_done))
        self._open_readers = len(self._readers) + 1
        self.child.on_exit(lambda _: self._check_done())

    async def finish(self, body: RequestBody, timeout: float) -> bool:
        """Whether it ended by itself: its process, and everything that holds its output open, as in OpenFaaS."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(timeout, self._settle, False) if timeout else None
        self._start_feeding(body)
        try:
            return await self._done
        finally:
            if timer is not None:
                timer.cancel()

    def end(self) -> None:
        """Kills what is left of the process group and closes the pipes."""
        self.child.kill()
        if self._feeding is not None:
            self._feeding.cancel()
        self._stdin.close()
        for reader in self._readers:
            reader.close()
        if self._log is not None:
            self._log.end_call()

    def _start_feeding(self, body: RequestBody) -> None:
        """Most bodies are here and fit into the pipe: no task is needed for them."""
        ready = b""
        if body.is_complete and body.waiting_bytes <= _PIPE_CAPACITY:
            ready = b"".join(body.take())
            # A user with very many pipes gets small ones, so even this may not take all of it.
            ready = ready[self._stdin.write_now(ready) :] if ready else b""
            if not ready:
                self._stdin.close()
                return
        self._feeding = asyncio.get_running_loop().create_task(self._feed(ready, body))

    async def _feed(self, piece: bytes, body: RequestBody) -> None:
        while self._stdin.is_open:
            await self._stdin.write(piece)
            piece = await body.read()
            if not piece:
                self._stdin.close()
                return
        # The child closed its input: whatever else comes is taken off the connection, which can then go on.
        body.discard()

    def _check_done(self) -> None:
        """Called at the end of each output and of the process."""
        self._open_readers -= 1
        if not self._open_readers:
            self._settle(True)

    def _settle(self, ended: bool) -> None:
        if not self._done.done():
            self._done.set_result(ended)


def _close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _ending(exit_code: int) -> str:
    """How the process ended, in Go's words, which callers of OpenFaaS functions know."""
    if exit_code > 0:
        return f"exit status {exit_code}"
    return f"signal: {(signal.strsignal(-exit_code) or str(-exit_code)).lower()}"
