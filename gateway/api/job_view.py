"""RQ's records as the dashboard reads them: nothing in Redis can make it run code, or hide the records beside it.

RQ unpickles what it reads and raises on the first oddity. rq-dashboard takes its Queue, Job and Worker from here
instead: values are plain data or are not shown, and a record that cannot be read is listed as such.
"""

from __future__ import annotations

import io
import logging
import math
import pickle
import re
from collections.abc import Callable
from typing import Any, TypeVar, cast

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq import Queue, Worker
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.results import Result

from swarmfn.jobs.letters import Letters

logger = logging.getLogger(__name__)
Value = TypeVar("Value")

UNREADABLE = "(this record cannot be read)"
_LOGIN = re.compile(r"(https?://)[^/?#\s'\"]*@")
"""User and password in a URL."""

_REDIS_GONE = (RedisConnectionError, RedisTimeoutError)


class PlainUnpickler(pickle.Unpickler):
    """Reads numbers, texts, bytes, lists, tuples, sets and dicts, and nothing that needs an import."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is not plain data")


class PlainSerializer:
    """RQ's default format, read without running anything."""

    dumps = staticmethod(pickle.dumps)

    @staticmethod
    def loads(data: bytes) -> Any:
        return PlainUnpickler(io.BytesIO(data)).load()


class UnreadableRecord(Exception):
    """A job whose record in Redis does not parse; the message names it."""


class ViewedJob(Job):
    """A job whose parts that do not parse are missing rather than fatal, and whose values JSON can show."""

    def __init__(self, id: str | None = None, connection: Redis | None = None, serializer: object = None) -> None:  # noqa: A002, the base's name
        super().__init__(id, connection, PlainSerializer)

    @classmethod
    def fetch(cls, id: str, connection: Redis | None = None, serializer: object = None) -> ViewedJob:  # noqa: A002
        """Raises NoSuchJobError, or UnreadableRecord."""
        try:
            return cast(ViewedJob, super().fetch(id, connection))
        except (NoSuchJobError, *_REDIS_GONE):
            raise
        except Exception as exc:
            raise UnreadableRecord(f'the record of job "{id:.100}" cannot be read: {exc!s:.200}') from exc

    def latest_result(self, timeout: int = 0) -> Result | None:
        return _tolerant(super().latest_result, None, self.id)

    def return_value(self, refresh: bool = False) -> Any:
        return showable(super().return_value(refresh))

    def get_meta(self, refresh: bool = True) -> dict[str, Any]:
        return cast(dict[str, Any], showable(_tolerant(lambda: super(ViewedJob, self).get_meta(refresh), {}, self.id)))

    def get_call_string(self) -> str | None:
        otherwise: str | None = self.description or UNREADABLE
        shown = _tolerant(super().get_call_string, otherwise, self.id)
        return shown and _LOGIN.sub(r"\1", shown)


class ViewedQueue(Queue):
    """A queue that lists all its jobs, also those that cannot be read, and that looking at does not change."""

    job_class = ViewedJob

    @classmethod
    def all(cls, connection: Redis, *_ignored: object, **_options: object) -> list[Queue]:
        """Every queue whose name RQ could have written."""
        keys = (_text(key) for key in connection.smembers(cls.redis_queues_keys))
        prefix = cls.redis_queue_namespace_prefix
        return [cls(key.removeprefix(prefix), connection=connection) for key in keys if len(key) > len(prefix)]

    def fetch_job(self, job_id: str) -> Job | None:
        otherwise: Job | None = self._unreadable(job_id)
        return _tolerant(lambda: super(ViewedQueue, self).fetch_job(job_id), otherwise, job_id)

    def remove(self, *_ignored: object, **_options: object) -> None:
        """RQ cleans up while it lists, one search through the whole queue for each record that has expired."""

    def _unreadable(self, job_id: str) -> Job:
        job = ViewedJob(job_id, connection=self.connection)
        job.origin = self.name
        job.description = UNREADABLE
        return job


class ViewedWorker(Worker):
    """A worker as read from Redis; its present job may be gone by the time it is asked for."""

    job_class = ViewedJob
    queue_class = ViewedQueue

    def get_current_job(self) -> Job | None:
        return _tolerant(self._current_job, None, self.name)

    def _current_job(self) -> Job | None:
        try:
            return super().get_current_job()
        except NoSuchJobError:
            return None

    def _set_connection(self, connection: Redis) -> Redis:
        # RQ would raise the time limit of our connection to several minutes: a page would hang as long as Redis does.
        return connection


def requeue_job(job_id: str, connection: Redis, serializer: object = None) -> Job:
    """Puts a failed job back into its queue. Raises NoSuchJobError, or InvalidJobOperation for one not failed."""
    # A call of ours begins anew and is counted at once; of RQ's requeue only the worker that claims it would know.
    (reply,) = Letters(connection).redrive([job_id])
    job = ViewedJob.fetch(job_id, connection=connection)
    return job if reply == "redriven" else job.requeue()


def _text(key: bytes | str) -> str:
    return key if isinstance(key, str) else key.decode(errors="replace")


def showable(value: Any, depth: int = 0) -> Any:
    """`value` made of what JSON knows; anything else as Python prints it. Stops at 20 levels: values may be loops."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, dict) and depth < 20:
        return {str(key): showable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < 20:
        return [showable(item, depth + 1) for item in value]
    return f"{value!r:.1000}"


def _tolerant(read: Callable[[], Value], otherwise: Value, record: str) -> Value:
    """What `read` gives, or `otherwise` when the record is broken; Redis being away is no fault of the record."""
    try:
        return read()
    except _REDIS_GONE:
        raise
    except Exception as exc:
        logger.warning(
            "a record in Redis cannot be read; the dashboard shows it as such",
            extra={"event": "record_unreadable", "record": record, "problem": f"{type(exc).__name__}: {exc!s:.200}"},
        )
        return otherwise
