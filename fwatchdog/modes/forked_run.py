"""One run of a command: its process, its pipes, its time."""

from __future__ import annotations

import asyncio
import os

from fwatchdog.children import Child, Environment, Nursery
from fwatchdog.function_log import FunctionLog
from fwatchdog.http.request_bodies import RequestBody
from fwatchdog.pipes import PipeReader, PipeWriter

HIGH_WATER = 1024 * 1024
"""Bytes of output that may wait for a reader that takes it piece by piece; then the command has to wait."""

_PIPE_CAPACITY = 64 * 1024


class ForkedRun:
    """One process and its pipes; `end()` must be called in every case.

    With a `log`, standard error goes there instead of into the output.
    """

    def __init__(
        self,
        nursery: Nursery,
        program: str,
        command: tuple[str, ...],
        environment: Environment,
        log: FunctionLog | None,
        ahead: int | None = None,
    ) -> None:
        """`ahead` limits the output that waits; without it all of it is kept."""
        self._log = log
        self._ahead = ahead
        self._output: list[bytes] = []
        self._unread = 0
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[bool] = self._loop.create_future()
        self._more: asyncio.Future[None] | None = None
        self._feeding: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
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
        self._reader = PipeReader(ours[1], self._take, self._check_done)
        self._log_reader = None if log is None else PipeReader(ours[2], log.feed, self._check_done)
        self._still_open = 2 if log is None else 3
        self.child.on_exit(lambda _: self._check_done())

    def begin(self, body: RequestBody, timeout: float) -> None:
        """Starts its time, and feeds it the request's body."""
        if timeout:
            self._timer = self._loop.call_later(timeout, self._expire)
        self._start_feeding(body)

    async def finish(self) -> bool:
        """Whether it ended by itself: its process, and everything that holds its output open, as in OpenFaaS."""
        return await self._done

    async def read(self) -> list[bytes]:
        """The output since the last time, once there is any; empty at the end of the run."""
        while not self._output and not self._done.done():
            self._more = self._loop.create_future()
            await self._more
        return self.take()

    def take(self) -> list[bytes]:
        """The output since the last time, without waiting."""
        output, self._output = self._output, []
        self._unread = 0
        self._reader.resume()
        return output

    def end(self) -> None:
        """Kills what is left of the process group and closes the pipes."""
        self.child.kill()
        if self._timer is not None:
            self._timer.cancel()
        if self._feeding is not None:
            self._feeding.cancel()
        self._stdin.close()
        self._reader.close()
        if self._log_reader is not None:
            # What it wrote before it was killed is in the pipe by now.
            self._log_reader.read()
            self._log_reader.close()
        if self._log is not None:
            self._log.end_call()

    def _take(self, data: bytes) -> None:
        self._output.append(data)
        self._unread += len(data)
        if self._ahead is not None and self._unread >= self._ahead:
            self._reader.pause()
        self._wake()

    def _start_feeding(self, body: RequestBody) -> None:
        """Most bodies are here and fit into the pipe: no task is needed for them."""
        ready = b""
        if body.is_complete and body.unread <= _PIPE_CAPACITY:
            ready = b"".join(body.take())
            # A user with very many pipes gets small ones, so even this may not take all of it.
            ready = ready[self._stdin.write_now(ready) :] if ready else b""
            if not ready:
                self._stdin.close()
                return
        self._feeding = self._loop.create_task(self._feed(ready, body))

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
        self._still_open -= 1
        if not self._still_open:
            self._settle(True)

    def _expire(self) -> None:
        """Its time is over, whether or not its output has been read to here."""
        self.child.kill()
        self._reader.close()
        self._settle(False)

    def _settle(self, ended: bool) -> None:
        if not self._done.done():
            self._done.set_result(ended)
        self._wake()

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)


def _close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
