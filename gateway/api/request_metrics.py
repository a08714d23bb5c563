"""/metrics, and the counting of requests for the gateway's own routes."""

from __future__ import annotations

import time

from flask import Blueprint, Response, g, request

from gateway.call_metrics import InvocationMetrics
from gateway.invoke.open_routes import is_open
from swarmfn.exposition import CONTENT_TYPE


def metrics_routes(metrics: InvocationMetrics) -> Blueprint:
    """/metrics. Registering it also counts every request outside the open routes, whose calls are counted as such."""
    routes = Blueprint("metrics", __name__)

    def expose() -> Response:
        return Response(metrics.exposition(), content_type=CONTENT_TYPE)

    def count(response: Response) -> Response:
        began = g.pop("began", None)
        if began is not None and not is_open(request.path):
            # The pattern, not the path: what clients may type has no end.
            route = request.url_rule.rule if request.url_rule else "unknown"
            metrics.observe_request(request.method, route, response.status_code, time.monotonic() - began)
        return response

    routes.get("/metrics")(expose)
    routes.before_app_request(_note_begin)
    routes.after_app_request(count)
    return routes


def _note_begin() -> None:
    g.began = time.monotonic()
