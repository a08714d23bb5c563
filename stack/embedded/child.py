"""One process of a service: a child of the supervisor, or one that an earlier supervisor left and this one adopted."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from stack.embedded.records import Records
from stack.embedded.spec import ServiceSpec
from swarmfn.process_identity import ProcessIdentity, identify, identify_child

_ADOPTED_POLL = 0.1


@dataclass
class Child:
    """A running process and the future of its end: a sentence such as `exit code 2`."""

    process: ProcessIdentity
    is_adopted: bool
    ended: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def end(self, how: str) -> None:
        if not self.ended.done():
            self.ended.set_result(how)

    async def stop(self, timeout: float) -> str:
        """SIGTERM, SIGKILL to its group after `timeout` seconds; how it ended."""
        self.process.signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(asyncio.shield(self.ended), timeout)
        except TimeoutError:
            self.process.signal_group(signal.SIGKILL)
            return await self.ended

    async def watch_adopted(self) -> None:
        """Nobody sends a signal about the end of a process that is not our child: it has to be asked for."""
        while self.process.is_alive():  # noqa: ASYNC110, nothing announces it
            await asyncio.sleep(_ADOPTED_POLL)
        self.end("ended (adopted, so its exit code is not known)")


def launch(spec: ServiceSpec, records: Records) -> Child:
    """Starts the service's program in a session of its own. Raises OSError when it cannot be run."""

    def record() -> None:
        own = identify(os.getpid())
        if own is not None:
            records.write(spec, own)

    with Path(spec.log).open("ab") as log:
        try:
            started = subprocess.Popen(
                spec.command,
                cwd=spec.directory,
                env={**os.environ, **spec.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # Between fork and exec, so that not even a SIGKILL here leaves a process without its record. Safe: the
                # supervisor has one thread.
                preexec_fn=record,
            )
        except subprocess.SubprocessError as exc:
            # Why, the child cannot tell.
            raise OSError("its record cannot be written; is the disk full?") from exc
    process = identify_child(started.pid)
    # The supervisor reaps every child itself, orphans included; to Popen this one is done.
    started.returncode = 0
    return Child(process, is_adopted=False)


def describe_end(status: int) -> str:
    """A wait status in words."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    return f"killed by {signal.Signals(-code).name}" if -code in set(signal.Signals) else f"killed by signal {-code}"
