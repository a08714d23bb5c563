"""Addresses of host names. A name server that does not answer for one name must not keep the others waiting: the event
loop's own lookups share four threads, and each may hang for half a minute."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import socket
import threading
from collections.abc import Callable, Sequence

from swarmfn.wire.addresses import is_ip_address

_KEPT = 5.0
"""Seconds an answer is good for: replicas behind a name come and go."""

_FAILURE_KEPT = 1.0

_AT_ONCE = 64
"""Names looked up at a time; one name is looked up once, however many ask for it."""

_PATIENCE = 1.0
"""Seconds after which a lookup leaves its place to the next one and goes on beside it. Callers choose names, and
who has a domain can have every name in it hang."""

_THREADS = 512
"""Lookups in total, those that hang included."""


class Names:
    """Looks names up on threads of its own. One per event loop; its threads do not keep the program from ending."""

    def __init__(
        self,
        lookup: Callable[[str], Sequence[str]] | None = None,
        at_once: int = _AT_ONCE,
        patience: float = _PATIENCE,
    ) -> None:
        self._lookup = lookup or _system_lookup
        self._patience = patience
        self._free = asyncio.Semaphore(at_once)
        self._threads = asyncio.Semaphore(max(at_once, _THREADS))
        self._asked: dict[str, asyncio.Task[Sequence[str]]] = {}

    async def addresses(self, host: str, waits: bool = True) -> Sequence[str]:
        """At least one IP address of `host`, which may be one itself. Raises OSError, UnicodeError (a ValueError).

        Unless it `waits`, a name that others keep from being looked up at once is an OSError.
        """
        if is_ip_address(host):
            return (host,)
        task = self._asked.get(host)
        if task is None:
            if not waits and (self._free.locked() or self._threads.locked()):
                raise OSError(f"too many names are being looked up to look for {host} too")
            task = self._asked[host] = asyncio.get_running_loop().create_task(self._ask(host))
            task.add_done_callback(lambda ended: self._keep_for_a_while(host, ended))
        # A caller that gives up waiting leaves the lookup to the others.
        await asyncio.wait([task])
        failure = task.exception()
        if failure is not None:
            raise copy.copy(
                failure
            )  # the task keeps its own, and would keep what is in the frames that it goes through
        return task.result()

    def _keep_for_a_while(self, host: str, ended: asyncio.Task[Sequence[str]]) -> None:
        # Reading the exception keeps asyncio from complaining when all who asked have given up.
        has_failed = ended.cancelled() or ended.exception() is not None
        ended.get_loop().call_later(_FAILURE_KEPT if has_failed else _KEPT, self._asked.pop, host, None)

    async def _ask(self, host: str) -> Sequence[str]:
        async with self._threads:
            async with self._free:
                answer = self._begin(host)
                await asyncio.wait([answer], timeout=self._patience)
            return await answer

    def _begin(self, host: str) -> asyncio.Future[Sequence[str]]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[str]] = loop.create_future()
        # Not an executor's thread: the program's end would wait for those.
        thread = threading.Thread(target=self._on_thread, args=(host, loop, answer), name=f"lookup {host}", daemon=True)
        try:
            thread.start()
        except RuntimeError as exc:  # a limit of the container or the machine
            raise OSError(f"{host} cannot be looked up: {exc}") from exc
        return answer

    def _on_thread(self, host: str, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Sequence[str]]) -> None:
        try:
            found = self._lookup(host)
            failure: Exception | None = None if found else OSError(f"{host} has no address")
        except (OSError, ValueError) as exc:
            found, failure = (), exc

        def tell() -> None:
            if answer.done():
                return
            if failure is None:
                answer.set_result(found)
            else:
                answer.set_exception(failure)

        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell)


def _system_lookup(host: str) -> Sequence[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(place[0]) for *_, place in found))
