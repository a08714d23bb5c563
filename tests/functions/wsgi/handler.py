"""A Flask application with what functions need of one."""

import os
import sys
import time

import flask

app = flask.Flask(__name__)

WANTED = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_NAME", "SERVER_PORT", "HTTP_X_TWICE")


@app.route("/hello/<name>", methods=["GET", "POST", "HEAD"])
def hello(name):
    return f"hello {name} {flask.request.args.get('x', '')}\n"


@app.post("/echo")
def echo():
    return flask.Response(flask.request.get_data(), content_type=flask.request.content_type)


@app.get("/environ")
def environ():
    wanted = (
        "REQUEST_METHOD",
        "SCRIPT_NAME",
        "PATH_INFO",
        "QUERY_STRING",
        "SERVER_NAME",
        "SERVER_PORT",
        "HTTP_X_TWICE",
    )
    variables = flask.request.environ
    return {
        **{name: variables.get(name) for name in wanted},
        "wsgi.multithread": variables["wsgi.multithread"],
        "wsgi.version": variables["wsgi.version"],
        "underscore": variables.get("HTTP_X_UNDER_SCORE"),
    }


@app.get("/cookies")
def cookies():
    response = flask.make_response(flask.request.cookies, 201)
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


@app.get("/raise")
def fail():
    print("about to fail")
    raise ValueError("a secret detail")


@app.get("/exit")
def leave():
    os._exit(3)


@app.get("/hang")
def hang():
    print("hanging", file=sys.stderr)
    while True:
        pass


@app.post("/backwards")
def backwards():
    """A piece out for each piece in, before the next one comes."""
    source = flask.request.stream

    def pieces():
        while piece := source.read(5):
            yield piece[::-1]

    return flask.Response(pieces(), content_type="text/plain")


@app.get("/slowly")
def slowly():
    def pieces():
        yield "first"
        while not os.path.exists(flask.request.args["until"]):
            time.sleep(0.01)
        yield "second"

    return flask.Response(flask.stream_with_context(pieces()))


@app.get("/amid")
def amid():
    def pieces():
        yield "half"
        raise ValueError("a secret detail")

    return flask.Response(pieces())


def plain(environ, start_response):
    """Not Flask: what else PEP 3333 allows."""
    if environ["PATH_INFO"] == "/write":
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"written ")
        return [b"", b"returned"]
    if environ["PATH_INFO"] == "/none":
        start_response("204 No Content", [])
        return []
    if environ["PATH_INFO"] == "/again":
        start_response("200 OK", [("X-First", "1")])
        try:
            raise KeyError("x")
        except KeyError:
            start_response("418 I'm a teapot", [("X-Second", "1")], sys.exc_info())
        return [b"short and stout"]
    if environ["PATH_INFO"] == "/early":
        return [b"no start_response"]
    if environ["PATH_INFO"] == "/text":
        start_response("200 OK", [])
        return ["text"]
    if environ["PATH_INFO"] == "/lines":
        start_response("200 OK", [])
        return [b"%d " % len(line) for line in environ["wsgi.input"]]
    if environ["PATH_INFO"] == "/header":
        start_response("200 OK", [("X-A", "b\r\nX-Injected: 1")])
        return [b""]
    start_response("200 OK", [("Content-Length", "3")])
    return [b"abc", b"def"]
