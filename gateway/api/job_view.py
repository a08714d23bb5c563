"""RQ's records as the dashboard reads them: nothing in Redis can make it run code, or hide the records beside it.

RQ unpickles what it reads and raises on the first oddity. rq-dashboard takes its Queue, Job and Worker from here
instead: values are plain data or are not shown, and a record that cannot be read is listed as such.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import pickle
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq import Queue, Worker
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job
from rq.results import Result
from rq.utils import utcparse

from swarmfn.jobs.calls_by_state import CallsByState

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


class ViewedJob(Job):
    """A job whose parts that do not parse are missing rather than fatal, and whose values JSON can show."""

    is_unreadable = False

    def __init__(self, id: str | None = None, connection: Redis | None = None, serializer: object = None) -> None:  # noqa: A002, the base's name
        # RQ refuses ids that others, and RQ before 3.0, have written.
        super().__init__(None, connection, PlainSerializer)
        self._id = id

    @classmethod
    def fetch(cls, id: str, connection: Redis | None = None, serializer: object = None) -> ViewedJob:  # noqa: A002
        """Raises NoSuchJobError. One that nothing can be made of is returned as such."""
        try:
            # RQ's own would cut the id off at a colon.
            job: Any = cls(id, connection)
            job.refresh()
            return cast(ViewedJob, job)
        except NoSuchJobError:
            raise
        except RedisError as exc:
            if isinstance(exc, _REDIS_GONE):
                raise
            _note(id, exc)
            return cls.unreadable(id, connection)

    @classmethod
    def unreadable(cls, id: str, connection: Redis | None) -> ViewedJob:  # noqa: A002
        """What stands for a record of the wrong kind."""
        job = cls(id, connection)
        job.description = UNREADABLE
        job.is_unreadable = True
        return job

    def restore(self, raw_data: Mapping[bytes, bytes]) -> None:
        """Leaves out the fields that do not parse."""
        whole = {b"data": b"", **raw_data}
        try:
            super().restore(whole)
            return
        except Exception as exc:
            _note(self.id, exc)
        good = {b"data": whole[b"data"]}
        for name, value in whole.items():
            with contextlib.suppress(Exception):
                super().restore({**good, name: value})
                good[name] = value
        super().restore(good)
        if b"description" in whole.keys() - good.keys():
            self.description = UNREADABLE

    @property
    def dependency_ids(self) -> list[str]:
        untyped: Any = self.connection
        none: set[bytes] = set()
        return [_text(key) for key in _tolerant(lambda: untyped.smembers(self.dependencies_key), none, self.id)]

    def get_status(self, refresh: bool = True) -> Any:
        """RQ's, or whatever stands in its place."""
        untyped: Any = self.connection
        raw = _tolerant(lambda: untyped.hget(self.key, "status"), b"", self.id)
        return _text(raw or b"unknown")

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
        """None for one that has expired."""
        try:
            return ViewedJob.fetch(job_id, self.connection)
        except NoSuchJobError:
            return None

    def remove(self, *_ignored: object, **_options: object) -> None:
        """RQ cleans up while it lists, one search through the whole queue for each record that has expired."""


class ViewedWorker(Worker):
    """A worker as read from Redis; its present job may be gone by the time it is asked for."""

    job_class = ViewedJob
    queue_class = ViewedQueue

    @classmethod
    def all(cls, connection: Any, *_ignored: object, **_options: object) -> list[ViewedWorker]:  # type: ignore[override]
        """Those that are there, also those whose entries something else has written."""
        prefix = cls.redis_worker_namespace_prefix
        names = [_text(key).removeprefix(prefix) for key in connection.smembers(cls.redis_workers_keys)]
        found = [cls([], name, connection=connection, prepare_for_work=False) for name in sorted(names)]
        for worker in found:
            worker.refresh()
        return [worker for worker in found if worker.is_there]

    is_there = False

    def refresh(self) -> None:
        """What does not parse is left out."""
        fields = {_text(name): _text(value) for name, value in self._fields().items()}
        self.is_there = bool(fields)
        self.hostname, self.ip_address = fields.get("hostname"), fields.get("ip_address", "")
        self.version, self.python_version = fields.get("version", ""), fields.get("python_version", "")
        self._state = fields.get("state", "?")
        self.pid = _read(int, fields.get("pid"), None)
        self.last_heartbeat, self.birth_date = (
            _read(utcparse, fields.get(name), None) for name in ("last_heartbeat", "birth")
        )
        self.successful_job_count, self.failed_job_count = (
            _read(int, fields.get(name), 0) for name in ("successful_job_count", "failed_job_count")
        )
        self.total_working_time = _read(float, fields.get("total_working_time"), 0.0)
        names = filter(None, fields.get("queues", "").split(","))
        self.queues = [ViewedQueue(name, connection=self.connection) for name in names]

    def _fields(self) -> dict[bytes, bytes]:
        """One of the wrong type is an entry without any of them."""
        untyped: Any = self.connection
        wrong = {b"state": b"unreadable"}
        return _tolerant(lambda: untyped.hgetall(self.key), wrong, self.name)

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
    # A call of ours starts again and is counted at once; of RQ's requeue only the worker that claims it would know.
    (reply,) = CallsByState(connection).redrive([job_id])
    job = ViewedJob.fetch(job_id, connection=connection)
    if reply == "redriven":
        return job
    if job.is_unreadable:
        raise InvalidJobOperation(f"the record of {job_id!r} cannot be read")
    return job.requeue()


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


def _read(parse: Callable[[str], Any], text: str | None, otherwise: Any) -> Any:
    try:
        return parse(text) if text else otherwise
    except (ValueError, OverflowError):
        return otherwise


def _tolerant(read: Callable[[], Value], otherwise: Value, record: str) -> Value:
    """What `read` gives, or `otherwise` when the record is broken; a missing Redis does not mean a broken record."""
    try:
        return read()
    except _REDIS_GONE:
        raise
    except Exception as exc:
        _note(record, exc)
        return otherwise


def _note(record: str, exc: Exception) -> None:
    logger.warning(
        "a record in Redis cannot be read; the dashboard shows it as such",
        extra={"event": "record_unreadable", "record": record, "problem": f"{type(exc).__name__}: {exc!s:.200}"},
    )
