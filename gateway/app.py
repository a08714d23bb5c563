"""create_app: the whole gateway as one Flask app."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask

from gateway.api.bridge import Bridge
from gateway.api.invoke import Rest, invoke_routes
from gateway.api.management import Management, add_management
from gateway.invoke.accepted_calls import AcceptedCalls
from gateway.invoke.asynchronous import Asynchronous
from gateway.invoke.body_budget import BodyBudget
from gateway.invoke.synchronous import Synchronous


@dataclass(frozen=True)
class Parts:
    """What the app works with. `bridge` leads to the running event loop that the two kinds of calls belong to."""

    management: Management
    synchronous: Synchronous
    asynchronous: Asynchronous
    accepted_calls: AcceptedCalls
    bridge: Bridge
    is_ready: Callable[[], bool]
    bodies: BodyBudget


def create_app(parts: Parts) -> Flask:
    """Every route of the gateway: management, pages, dashboard, and invocation. Serve it with any WSGI server; under
    waitress (with channel_request_lookahead) it also notices clients that leave."""
    app = Flask("gateway", static_folder=None)
    app.url_map.merge_slashes = False
    app.url_map.converters["rest"] = Rest
    app.json.sort_keys = False  # type: ignore[attr-defined]
    add_management(app, parts.management)
    app.register_blueprint(
        invoke_routes(
            parts.synchronous,
            parts.asynchronous,
            parts.accepted_calls,
            parts.bridge,
            parts.is_ready,
            parts.bodies,
        )
    )
    return app
