"""Handlers that answer with response objects, or with Werkzeug's exceptions."""

import io

from werkzeug.exceptions import NotFound, abort
from werkzeug.utils import redirect
from werkzeug.utils import send_file as send
from werkzeug.wrappers import Response


def made(event, context):
    return Response("made", status=202, mimetype="text/csv")


def with_cookies(event, context):
    response = Response("ok")
    response.set_cookie("session", "abc", httponly=True)
    response.set_cookie("theme", "dark")
    return response


def in_a_tuple(event, context):
    return Response("made", headers={"X-One": "1", "X-Two": "2"}), 201, {"X-Two": "3"}


def streamed(event, context):
    return Response((f"data: {n}\n\n" for n in range(3)), mimetype="text/event-stream")


def no_content(event, context):
    return Response(status=204)


def elsewhere(event, context):
    return redirect("/elsewhere", 303)


def aborted(event, context):
    abort(404)


def aborted_with_words(event, context):
    abort(403, "not for <you>")


def raised(event, context):
    raise NotFound("no such thing")


def returned(event, context):
    return NotFound("no such thing")


def aborted_with_a_response(event, context):
    abort(Response("own", status=409))


def any_application(event, context):
    def application(environ, start_response):
        start_response("203 Fine", [("Content-Type", "text/plain")])
        return [environ["REQUEST_METHOD"].encode(), b" ", environ["QUERY_STRING"].encode()]

    return application


def file(event, context):
    return send(io.BytesIO(b"0123456789"), {"REQUEST_METHOD": event.method}, mimetype="application/x-digits")
