"""The worker process: imports the function and answers calls on its lanes until the watchdog closes them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from fwatchdog.python_worker import frames
from fwatchdog.python_worker.failures import report_failed_start, traceback_of
from fwatchdog.python_worker.lane import Call, Lane, LaneClosed
from fwatchdog.python_worker.loading import load_app, load_handler
from fwatchdog.python_worker.output import flush, output_of, prepare, volunteer_for_the_oom_killer, write_traceback
from fwatchdog.python_worker.results import BadResult

if TYPE_CHECKING:
    from fwatchdog.python_worker.surroundings import Surroundings

PYTHON, WSGI, ASGI = "python", "wsgi", "asgi"


class Application(Protocol):
    """What answers calls, one in each thread."""

    @property
    def warning(self) -> str:
        """What the person who deployed it should know, in one line."""

    def serve(self, call: Call) -> None:
        """Answers one call. Raises BadResult, LaneClosed, and whatever the user's code raises."""

    def close(self) -> None:
        """Ends what outlives single calls."""


def main(kind: str, folder: str, name: str, descriptors: list[int], output: int, has_variables: bool) -> int:
    """Serves calls on these sockets; the process's exit code.

    `output` is the file in memory that a `handle(req)` prints into, or -1 when it has none; `has_variables`: it finds
    the request in its environment.
    """
    volunteer_for_the_oom_killer()
    prepare(has_several_calls=len(descriptors) > 1)
    if kind == ASGI:
        from fwatchdog.python_worker.asgi import serve_asgi

        return serve_asgi(descriptors, lambda: load_app(folder, name))
    lanes = [Lane(descriptor) for descriptor in descriptors]
    try:
        application = _load(kind, folder, name, len(lanes) > 1, output, has_variables)
    except BaseException as exc:
        report_failed_start(lanes[0], exc)
        return 1
    flush()
    lanes[0].send(frames.READY, {"warning": application.warning})
    try:
        _serve_all(application, lanes)
    finally:
        application.close()
    return 0


def _load(kind: str, folder: str, name: str, has_threads: bool, output: int, has_variables: bool) -> Application:
    if kind == WSGI:
        from fwatchdog.python_worker.wsgi import WsgiApplication

        return WsgiApplication(load_app(folder, name), has_threads)
    from fwatchdog.python_worker.coroutines import Coroutines
    from fwatchdog.python_worker.handler import Handler

    def surroundings() -> Surroundings:
        from fwatchdog.python_worker.surroundings import Surroundings

        return Surroundings(output, has_variables)

    handle = load_handler(folder, name)
    return Handler(handle, Coroutines(has_threads), has_threads, surroundings if output >= 0 else None)


def _serve_all(application: Application, lanes: list[Lane]) -> None:
    """A single lane stays in the main thread, where a handler may use signals."""
    threads = [threading.Thread(target=_serve, args=(application, lane), daemon=True) for lane in lanes[1:]]
    for thread in threads:
        thread.start()
    _serve(application, lanes[0])
    for thread in threads:
        thread.join()


def _serve(application: Application, lane: Lane) -> None:
    try:
        while True:
            call = Call(lane)
            with output_of(call.head.get("call_id", "")):
                _answer(application, call)
            # Not to be kept until the next one comes.
            del call
    except LaneClosed:
        return


def _answer(application: Application, call: Call) -> None:
    try:
        application.serve(call)
    except LaneClosed:
        raise
    except BadResult as exc:
        call.fail(str(exc), "")
    except BaseException as exc:
        # sys.exit() too: it ends this call, not the process that serves the next one.
        trace = traceback_of(exc)
        write_traceback(trace)
        call.fail(type(exc).__name__, trace)
