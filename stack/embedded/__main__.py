"""`python -m stack.embedded STATE_DIR CODE`: the supervisor. It detaches itself; the command that starts it goes on."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from stack.embedded.control import ControlServer, listen
from stack.embedded.records import Records
from stack.embedded.supervisor import Supervisor
from stack.state import StateDirectory
from swarmfn.background_work import keep_running
from swarmfn.wire.logs import configure_logging

log = logging.getLogger("supervisor")
_PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    state, code = StateDirectory(Path(sys.argv[1])), sys.argv[2]
    detach()
    configure_logging()
    lock = os.open(state.run / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.error("another supervisor runs on %s; this one ends", state.root, extra={"event": "supervisor_refused"})
        return 1
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    asyncio.run(supervise(state, code))
    return 0


def detach() -> None:
    """Becomes a process of its own, which no terminal's end reaches."""
    if os.fork() > 0:
        os._exit(0)
    os.setsid()


async def supervise(state: StateDirectory, code: str) -> None:
    """Runs until it is asked to shut down or to leave, or gets SIGTERM."""
    supervisor = Supervisor(Records(state.run / "services"), state.logs, code)
    loop = asyncio.get_running_loop()
    ending: list[asyncio.Task[None]] = []
    loop.add_signal_handler(signal.SIGCHLD, supervisor.reap)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: ending.append(loop.create_task(supervisor.shutdown())))
    server = ControlServer(supervisor.answer)
    await server.start(listen(state.run))
    logs = loop.create_task(keep_running("looking after the logs", supervisor.look_after_logs))
    log.info("supervising %s", state.root, extra={"event": "supervisor_started", "pid": os.getpid()})
    await supervisor.done.wait()
    await server.close()
    logs.cancel()
    with suppress(asyncio.CancelledError):
        await logs
    log.info("the supervisor ends", extra={"event": "supervisor_ended"})


if __name__ == "__main__":
    sys.exit(main())
