"""`python -m worker`: a supervisor, and under it the worker processes (the same command with a name set)."""

from __future__ import annotations

import logging
import os
import sys
import time
from itertools import count

from swarmfn.backoff import backoff
from swarmfn.jobs.logging_in import MountedPasswords
from swarmfn.jobs.redis_clients import connect_blocking
from swarmfn.jobs.redis_commands import Unreachable
from swarmfn.jobs.server import ServerTooOld, require_supported
from swarmfn.jobs.stored_layout import require_readable
from swarmfn.wire.descriptors import allow_many_descriptors
from swarmfn.wire.errors import NewerLayout, SettingsError
from swarmfn.wire.logs import configure_logging
from worker.isolation import NAME_VARIABLE
from worker.parent import end_with_parent
from worker.settings import Settings
from worker.supervisor import Supervisor

logger = logging.getLogger("worker")

_SHORTEST_WAIT, _LONGEST_WAIT = 0.2, 5.0


def main() -> int:
    if not end_with_parent(os.environ):
        return 1
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as exc:
        print(exc, file=sys.stderr)
        return 2
    configure_logging(settings.log_format)
    allow_many_descriptors()
    name = os.environ.get(NAME_VARIABLE)
    for sentence in () if name else settings.misspelt:
        logger.warning("%s", sentence, extra={"event": "setting_misspelt"})
    return _work(settings, name) if name else Supervisor(settings).run()


def _work(settings: Settings, name: str) -> int:
    from worker.rq_worker import make_worker  # the supervisor stays small without RQ and uvloop

    connection = connect_blocking(settings.redis_address, MountedPasswords(settings.secret_mount_path))
    for failures in count(1):
        try:
            connection.ping()
            break
        except Unreachable as exc:
            logger.warning("waiting for Redis at %s: %s", settings.redis_address, exc)
            time.sleep(backoff(failures, _SHORTEST_WAIT, _LONGEST_WAIT))
    try:
        require_supported(connection)
        require_readable(connection)
    except (NewerLayout, ServerTooOld) as exc:
        event = "newer_layout" if isinstance(exc, NewerLayout) else "redis_too_old"
        logger.error("cannot start: %s", exc, extra={"event": event, "worker": name})
        return 1
    make_worker(connection, name).work()
    connection.close()
    logger.info("worker stopped", extra={"event": "stopped", "worker": name})
    return 0


if __name__ == "__main__":
    sys.exit(main())
