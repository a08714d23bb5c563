"""rq-dashboard under /ui/rq/: the queues and jobs as RQ records them, made safe to leave open in a browser.

rq-dashboard brings no access control, runs changes on GET, prints fields unescaped and breaks on records it does not
expect. It is mounted as it is; hooks before and after its views put that right. Deleting and emptying are refused:
they would go past the record of what was promised to callers.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import rq_dashboard
import rq_dashboard.web
from flask import Flask, Response, current_app, request
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from werkzeug.exceptions import MethodNotAllowed, NotFound

from gateway.api import job_pages, job_view
from gateway.api.dashboard_pages import protect_page, remove_markup
from gateway.api.error_replies import reply
from gateway.invoke.error_replies import error_with_status
from swarmfn.wire.errors import InvocationNotFound, QueueUnavailable

PREFIX = "/ui/rq"
POLL_MILLISECONDS = 4000
"""An open page makes eight or so Redis commands a queue in this time."""

_REFUSED = frozenset({"rq_dashboard.delete_job_view", "rq_dashboard.empty_queue", "rq_dashboard.compact_queue"})
_WITH_ANY_ID = (
    ("/<int:instance_number>/view/job/<path:job_id>", "job_view", ["GET"]),
    ("/<int:instance_number>/data/job/<path:job_id>.json", "job_info", ["GET"]),
    ("/job/<path:job_id>/requeue", "requeue_job_view", ["POST"]),
)
"""Where rq-dashboard's own routes take no id with a slash in it."""

_MAX_PER_PAGE = 200
_MAX_PAGE = 1_000_000


def mount_dashboard(app: Flask, connection: Redis, address: str) -> None:
    """Registers rq-dashboard with `app`. `address` (a URL without password) is what its pages show.

    `connection` should be the dashboard's own and have time limits: its views wait for Redis in the request.
    """
    _read_tolerantly()
    app.config["RQ_DASHBOARD_REDIS_URL"] = (address,)
    app.config["RQ_DASHBOARD_POLL_INTERVAL"] = POLL_MILLISECONDS
    app.config["RQ_DASHBOARD_DISABLE_DELETE"] = True
    app.redis_conn = connection  # type: ignore[attr-defined]  # where rq-dashboard looks for it
    app.register_blueprint(rq_dashboard.blueprint, url_prefix=PREFIX)
    app.view_functions["rq_dashboard.job_info"] = job_pages.job_info
    for path, endpoint, methods in _WITH_ANY_ID:
        app.add_url_rule(PREFIX + path, f"rq_dashboard.{endpoint}", methods=methods)
    if "static" not in app.view_functions:
        # Its pages take their icon from the app they are mounted in.
        app.add_url_rule(f"{PREFIX}/app/<path:filename>", "static", rq_dashboard.blueprint.send_static_file)
    app.before_request(_guard(connection))
    app.after_request(_protect)
    app.register_error_handler(NoSuchJobError, _tell_missing)
    app.register_error_handler(InvalidJobOperation, _tell_not_failed)
    app.register_error_handler(RedisError, _tell_redis)


def _read_tolerantly() -> None:
    """Gives rq-dashboard our view of RQ's records; it has a setting only for some of its reads."""
    web = rq_dashboard.web
    web.Queue, web.Job, web.Worker = job_view.ViewedQueue, job_view.ViewedJob, job_view.ViewedWorker
    web.requeue_job = job_view.requeue_job
    web.get_queue_registry_jobs_count = job_pages.jobs_on_page
    web.config.serializer = job_view.PlainSerializer
    # It would make a new connection for each request, out of a URL with the password in it.
    web.from_url = lambda url, **options: (None, current_app.redis_conn)  # type: ignore[attr-defined]


def _guard(connection: Redis) -> Callable[[], None]:
    """A before_request hook that lets only requests through which the dashboard's views can answer."""

    def check() -> None:
        if request.blueprint != "rq_dashboard" or request.endpoint == "rq_dashboard.static":
            return
        _refuse_changes()
        _check_arguments(request.view_args or {})
        # PING is refused, as writes are, while Redis cannot write to its disk; these pages only read.
        connection.exists("swarmfn:healthcheck")

    return check


def _refuse_changes() -> None:
    if request.endpoint == "rq_dashboard.requeue_all" and request.method != "POST":
        raise MethodNotAllowed(["POST"])
    if request.endpoint in _REFUSED:
        raise error_with_status(
            403, "the dashboard may not delete, empty or compact.", "Finished and failed jobs expire."
        )


def _check_arguments(arguments: Mapping[str, Any]) -> None:
    """404 for arguments that the views would stumble over."""
    queue = arguments.get("queue_name") or ""
    known = (
        arguments.get("instance_number", 0) == 0
        and arguments.get("registry_name", "queued") in job_pages.REGISTRIES
        and arguments.get("order", "asc") in ("asc", "dsc")
        and _is_within(arguments.get("per_page", 1), _MAX_PER_PAGE)
        and _is_within(arguments.get("page", 1), _MAX_PAGE)
        # The page puts the name between quotation marks in a script.
        and queue.isprintable()
        and "\\" not in queue
    )
    if not known:
        raise NotFound()


def _is_within(number: int | str, limit: int) -> bool:
    text = str(number)
    return text.isdecimal() and len(text) < 10 and 1 <= int(text) <= limit


def _protect(response: Response) -> Response:
    if request.blueprint != "rq_dashboard" or response.status_code >= 400:
        return response
    if response.mimetype == "text/html":
        protect_page(response, secrets.token_urlsafe(16))
    elif response.is_json:
        remove_markup(response, (request.endpoint or "").rpartition(".")[2])
    return response


def _tell_missing(error: NoSuchJobError) -> Response:
    return reply(InvocationNotFound("there is no record of this job.", "Records expire some time after a job ended."))


def _tell_not_failed(error: InvalidJobOperation) -> Response:
    return reply(error_with_status(409, "only failed jobs can be put back into their queue."))


def _tell_redis(error: RedisError) -> Response:
    if isinstance(error, RedisConnectionError | RedisTimeoutError):
        return reply(QueueUnavailable("Redis does not answer.", "Try again in a moment.", retry_after=5.0))
    return reply(QueueUnavailable(f"Redis refused to answer: {error}.", "Try again later.", retry_after=5.0))
