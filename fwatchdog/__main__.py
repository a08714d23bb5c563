"""`python -m fwatchdog`: reads the settings, starts the parts, ends with an exit code."""

from __future__ import annotations

# Has to come before asyncio itself.
import fwatchdog.light_asyncio  # noqa: F401

# isort: split
import asyncio
import logging
import os
import signal
import sys

from fwatchdog.lifecycle import FunctionEnded, serve
from fwatchdog.modes import CannotStart
from fwatchdog.settings import Settings
from swarmfn.wire.descriptors import allow_many_descriptors
from swarmfn.wire.errors import SettingsError
from swarmfn.wire.logs import configure_logging

logger = logging.getLogger("fwatchdog")


def main() -> int:
    """0 after a drain, 1 when the function cannot be served, 2 for bad settings."""
    _keep_standard_descriptors()
    try:
        settings = Settings.load(os.environ)
    except SettingsError as exc:
        print(exc, file=sys.stderr)
        return 2
    configure_logging(settings.log_format)
    if not settings.log_callid:
        logging.getLogger().handlers[0].addFilter(_without_call_id)
    for warning in settings.warnings:
        logger.warning("%s", warning, extra={"event": "setting_ignored"})
    # A forked call takes six; the usual soft limit of 1024 would end at 170 calls.
    allow_many_descriptors()
    try:
        asyncio.run(_serve(settings))
    except CannotStart as exc:
        logger.error("cannot start: %s", exc, extra={"event": "cannot_start"})
        return 1
    except FunctionEnded as exc:
        logger.error("%s", exc, extra={"event": "function_ended"})
        return 1
    return 0


async def _serve(settings: Settings) -> None:
    try:
        await serve(settings)
    finally:
        # A child that ends while asyncio closes the loop would have its SIGCHLD written to a descriptor that is closed
        # already, and Python would show a traceback about that.
        signal.set_wakeup_fd(-1)


def _without_call_id(record: logging.LogRecord) -> bool:
    vars(record).pop("call_id", None)
    return True


def _keep_standard_descriptors() -> None:
    """Pipes must not get the numbers 0 to 2, which a parent may have closed: children's are moved onto these."""
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:
            os.close(descriptor)
            return


if __name__ == "__main__":
    sys.exit(main())
