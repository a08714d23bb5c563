"""handle(event, context) behind Flask on waitress, as the public template python3-http documents it: the event has
Flask's own request data, and what the handler returns goes through Flask's own make_response.

usage: flask_server.py FOLDER PORT
"""

import importlib
import os
import sys
from typing import Any

import flask
import waitress

folder, port = sys.argv[1:]
sys.path.insert(0, folder)
handle = importlib.import_module("handler").handle

app = flask.Flask("function", root_path=os.getcwd())


class Event:
    def __init__(self) -> None:
        self.body = flask.request.get_data()
        self.headers = flask.request.headers
        self.method = flask.request.method
        self.query = flask.request.args
        self.path = flask.request.path


class Context:
    hostname = os.environ.get("HOSTNAME", "localhost")


def response_of(result: Any) -> Any:
    if result is None:
        return ""
    if not isinstance(result, dict) or not ({"statusCode", "body"} & set(result)):
        return result
    body = result.get("body", "")
    if body is None:
        body = ""
    elif isinstance(body, dict | list):
        body = flask.jsonify(body)
    elif not isinstance(body, bytes):
        body = str(body)
    headers = result.get("headers") or {}
    return body, result.get("statusCode", 200), headers


@app.route("/", defaults={"path": ""}, methods=["GET", "PUT", "POST", "PATCH", "DELETE"])
@app.route("/<path:path>", methods=["GET", "PUT", "POST", "PATCH", "DELETE"])
def call(path: str) -> Any:
    return response_of(handle(Event(), Context()))


waitress.serve(app, host="127.0.0.1", port=int(port))
