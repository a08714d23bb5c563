"""A worker process as the watchdog sees it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import fwatchdog
from fwatchdog.children import Child, Nursery
from fwatchdog.function_log import FunctionLog
from fwatchdog.pipes import PipeReader
from fwatchdog.python_worker.frames import Frame, FrameReader, encode_head
from fwatchdog.settings import Settings

# -P: the working directory, often the handler's own, must not stand in for modules that this program needs.
_BOOT = (
    "import sys; root = sys.argv[1]; sys.path.insert(0, root); "
    "from fwatchdog.python_worker.calls import main; sys.path.remove(root); "
    "sys.exit(main(int(sys.argv[2]), sys.argv[3]))"
)
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(fwatchdog.__file__)))


class WorkerDied(Exception):
    """The process ended while something was expected of it."""


class WorkerProcess(asyncio.Protocol):
    """One process with the handler in it; takes one call at a time. `kill()` must be called in every case."""

    def __init__(self, child: Child, log: FunctionLog) -> None:
        self.child = child
        self._log = log
        self._output: PipeReader | None = None
        self._frames = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[Frame] | None = None
        self._writable: asyncio.Future[None] | None = None
        self.is_alive = True

    @classmethod
    async def start(cls, nursery: Nursery, settings: Settings) -> WorkerProcess:
        """A process that is importing the handler; `ready()` waits for it. Raises OSError."""
        ours, theirs = socket.socketpair()
        output, writes = os.pipe2(os.O_CLOEXEC)
        try:
            worker = cls._spawn(nursery, settings, theirs.fileno(), writes)
        except BaseException:
            ours.close()
            os.close(output)
            raise
        finally:
            theirs.close()
            os.close(writes)
        worker._output = PipeReader(output, worker._log.feed)
        ours.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: worker, sock=ours)
        return worker

    @classmethod
    def _spawn(cls, nursery: Nursery, settings: Settings, theirs: int, output: int) -> WorkerProcess:
        folder = os.path.abspath(settings.handler_path)
        options = ("-P", "-s") if sys.flags.no_user_site else ("-P",)
        command = (sys.executable, *options, "-c", _BOOT, _ROOT, str(theirs), folder)
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        os.set_inheritable(theirs, True)
        try:
            child = nursery.spawn(sys.executable, command, os.environb, null, output, output)
        finally:
            os.close(null)
        return cls(child, FunctionLog(settings.prefix_logs, settings.log_buffer_size))

    async def ready(self) -> None:
        """Returns once the handler is imported. Raises WorkerDied with the reason in one line."""
        frame = await self._expect()
        self._end_output()
        if "failed" in frame.head:
            raise WorkerDied(frame.head["failed"])

    async def call(self, head: Mapping[str, Any], body: Sequence[bytes], call_id: str) -> Frame:
        """The handler's answer. Raises WorkerDied. After a cancelled call the process is good for nothing: kill it."""
        self._log.call_id = call_id
        reply = self._expect()
        await self._send(encode_head(head, sum(map(len, body))), body)
        try:
            return await reply
        finally:
            self._end_output()

    async def end(self, timeout: float) -> None:
        """Lets the process end in its own way (exit handlers of the user's code), then kills what is left of it."""
        ended = asyncio.Event()
        self.child.on_exit(lambda _: ended.set())
        if self._transport is not None:
            self._transport.close()
        try:
            async with asyncio.timeout(timeout):
                await ended.wait()
        except TimeoutError:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """Ends the process and all it started."""
        self.is_alive = False
        self.child.kill()
        if self._reply is not None:
            self._reply.cancel()
        if self._transport is not None:
            self._transport.abort()
        self._end_output()
        if self._output is not None:
            self._output.close()

    def _expect(self) -> asyncio.Future[Frame]:
        self._reply = asyncio.get_running_loop().create_future()
        if not self.is_alive:
            self._fail()
        return self._reply

    def _fail(self) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(WorkerDied("the process ended"))

    def _end_output(self) -> None:
        """What was printed before the answer was sent is in the pipe by now and belongs to this call."""
        if self._output is not None:
            self._output.read()
        self._log.end_call()

    async def _send(self, head: bytes, body: Sequence[bytes]) -> None:
        assert self._transport is not None
        if sum(map(len, body)) < 65536:
            self._transport.write(b"".join((head, *body)))
            return
        for piece in (head, *body):
            if self._writable is not None:
                await self._writable
            self._transport.write(piece)

    # -- asyncio.Protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for frame in self._frames.feed(data):
            if self._reply is not None and not self._reply.done():
                self._reply.set_result(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_alive = False
        self.resume_writing()
        self._fail()

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None
