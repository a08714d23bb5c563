"""The start page: which functions are deployed and how they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from swarmfn import __version__
from swarmfn.provider import Provider

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def ui_routes(
    provider: Provider, counts: Callable[[], Mapping[str, int]], notices: Callable[[], list[str]]
) -> Blueprint:
    """`/` and `/ui/`. `counts` gives the invocations so far by function; `notices` sentences about all of them."""
    routes = Blueprint(
        "ui", __name__, template_folder="templates", static_folder="static", static_url_path="/ui/static"
    )

    def show_functions() -> str:
        called = counts()
        functions = [(status, called.get(status.spec.name, 0)) for status in provider.functions()]
        return render_template("ui/functions.html", functions=functions, notices=notices(), version=__version__)

    routes.get("/ui/")(show_functions)
    routes.get("/")(_go_to_start)
    routes.after_app_request(_protect)
    return routes


def _go_to_start() -> BaseResponse:
    return redirect(url_for("ui.show_functions"))


def _protect(response: Response) -> Response:
    """Pages without a policy of their own may load only our stylesheet; none may be framed, sniffed or kept.

    What functions answer is not ours to change, so only below /ui/.
    """
    if not f"{request.path}/".startswith("/ui/"):
        return response
    location = response.headers.get("Location", "")
    if location.startswith(request.host_url):
        # Routing redirects name scheme and host; behind a proxy that ends TLS, the browser's are others.
        response.headers["Location"] = "/" + location.removeprefix(request.host_url)
    if response.mimetype == "text/html":
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("X-Frame-Options", "DENY")
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response
