"""Errors as replies: the Flask side of gateway.invoke.error_replies."""

from __future__ import annotations

import logging
import uuid

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException

from gateway.invoke.error_replies import error_with_status, render_error, unexpected
from swarmfn.wire.errors import FaasError

logger = logging.getLogger(__name__)


def handle_errors(app: Flask) -> None:
    """Makes every failure of a view a reply of one shape; an unexpected one is logged under a reference."""
    app.register_error_handler(FaasError, reply)
    app.register_error_handler(HTTPException, _reply_http)
    app.register_error_handler(Exception, _reply_unexpected)


def reply(error: FaasError) -> Response:
    """The reply to the present request that tells about `error`; a page for browsers that look at pages."""
    status, headers, body = render_error(error, request.headers.get("Accept", ""))
    response = Response(body, status, headers)
    if _wants_page():
        response.set_data(render_template("ui/error.html", status=status, error=error))
        response.content_type = "text/html; charset=utf-8"
    return response


def _reply_http(error: HTTPException) -> Response | HTTPException:
    """Routing failures and refused bodies; redirects, which are exceptions too, stay what they are."""
    if error.code is None or error.code < 400 or error.response is not None:
        return error
    response = reply(error_with_status(error.code, _said(error)))
    if error.code == 405 and (allowed := getattr(error, "valid_methods", None)):
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _reply_unexpected(error: Exception) -> Response:
    reference = uuid.uuid4().hex[:12]
    logger.error(
        "a request failed unexpectedly; the client was given this reference",
        extra={"event": "request_failed", "reference": reference, "method": request.method, "path": request.path},
        exc_info=error,
    )
    return reply(unexpected(reference))


def _said(error: HTTPException) -> str:
    if error.code == 404:
        return f"there is nothing at {request.path[:200]}."
    if error.code == 405:
        by_post = " Asynchronous calls are made with POST." if request.path.startswith("/async-function/") else ""
        return f"{request.method} is not possible at {request.path[:200]}.{by_post}"
    return error.description or error.name


def _wants_page() -> bool:
    return request.path.startswith("/ui/") and "text/html" in request.headers.get("Accept", "")
