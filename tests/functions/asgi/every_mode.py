"""echo, sleepy, family and troubled as ASGI applications."""

import asyncio
import importlib.util
from pathlib import Path


def _handler(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / name / "handler.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_family, _troubled = _handler("family"), _handler("troubled")


async def _body(scope, receive):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    pieces = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)


async def _answer(send, body, media_type):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", media_type)]})
    await send({"type": "http.response.body", "body": body})


async def echo(scope, receive, send):
    media_type = dict(scope.get("headers", ())).get(b"content-type", b"application/octet-stream")
    await _answer(send, await _body(scope, receive), media_type)


async def sleepy(scope, receive, send):
    text = (await _body(scope, receive)).decode()
    await asyncio.sleep(float(text))
    await _answer(send, f"slept {text}\n".encode(), b"text/plain")


async def family(scope, receive, send):
    """Blocks the event loop: no cancellation stops it."""
    _family.handle((await _body(scope, receive)).decode())


async def troubled(scope, receive, send):
    answer = _troubled.handle((await _body(scope, receive)).decode())
    await _answer(send, answer.encode(), b"text/plain")
