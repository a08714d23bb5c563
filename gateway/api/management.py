"""Puts the management API, the pages and the dashboard into a Flask app."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Flask
from redis import Redis

from gateway.api.audit import audit_changes
from gateway.api.auth import let_everybody_in, refuse_other_sites, require_credentials
from gateway.api.clients import client_of_request
from gateway.api.dashboard import mount_dashboard
from gateway.api.error_replies import handle_errors
from gateway.api.failed_logins import FailedLogins
from gateway.api.head_checks import note_head_checks
from gateway.api.invocations import invocation_routes
from gateway.api.public_port import hide_management
from gateway.api.request_metrics import metrics_routes
from gateway.api.system import system_routes
from gateway.call_metrics import InvocationMetrics
from gateway.invoke.clients import Network
from gateway.invoke.credentials import Credentials
from gateway.ui.pages import ui_routes
from swarmfn.provider import Provider


@dataclass(frozen=True)
class Management:
    """What the management side works with.

    `dashboard_redis` is a client for threads, with time limits; `redis_address` (a URL, no password) is what its pages
    show. Without `credentials` everything is open. The fast lane tells who its client is with `peer_secret`;
    `X-Forwarded-For` is believed from `trusted_proxies`.
    `counts` gives the calls of each function; `limits` the rows of /system/limits, `warnings` the sentences of
    /system/warnings, `notices` those that the start page has above the functions.
    """

    provider: Provider
    metrics: InvocationMetrics
    counts: Callable[[], Mapping[str, int]]
    dashboard_redis: Redis
    redis_address: str
    credentials: Credentials | None
    peer_secret: str
    trusted_proxies: Sequence[Network]
    limits: Callable[[], list[dict[str, Any]]] = list
    warnings: Callable[[], list[str]] = list
    notices: Callable[[], list[str]] = list


def add_management(app: Flask, parts: Management) -> None:
    """Registers everything but the invocation routes and /healthz.

    Call it before other hooks are added: who may come in is decided first, and the dashboard relies on that.
    """
    handle_errors(app)
    app.register_blueprint(metrics_routes(parts.metrics))
    app.before_request(hide_management)
    client = client_of_request(parts.peer_secret, parts.trusted_proxies)
    if parts.credentials is None:
        app.before_request(let_everybody_in)
    else:
        logins = FailedLogins()
        parts.metrics.add(logins)
        app.before_request(require_credentials(parts.credentials, logins, client))
    app.after_request(audit_changes(client))
    app.before_request(refuse_other_sites)
    note_head_checks(app)
    app.register_blueprint(system_routes(parts.provider, parts.counts, parts.limits, parts.warnings))
    app.register_blueprint(invocation_routes(parts.dashboard_redis))
    app.register_blueprint(ui_routes(parts.provider, parts.counts, parts.notices))
    mount_dashboard(app, parts.dashboard_redis, parts.redis_address)
