"""echo, sleepy, family and troubled as WSGI applications, with the code of the handlers of these names."""

import importlib.util
from pathlib import Path


def _handler(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / name / "handler.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_sleepy, _family, _troubled = _handler("sleepy"), _handler("family"), _handler("troubled")


def _text(handler):
    def app(environ, start_response):
        answer = handler.handle(environ["wsgi.input"].read().decode())
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [answer.encode()]

    return app


def echo(environ, start_response):
    start_response("200 OK", [("Content-Type", environ.get("CONTENT_TYPE", "application/octet-stream"))])
    return [environ["wsgi.input"].read()]


sleepy, family = _text(_sleepy), _text(_family)


def troubled(environ, start_response):
    answer = _troubled.handle(environ["wsgi.input"].read().decode())
    start_response("200 OK", [])
    return [answer.encode()]
