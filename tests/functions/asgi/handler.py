"""A small ASGI application, by hand."""

import asyncio
import contextlib
import json
import os
import time

events = []


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
    else:
        await ROUTES[scope["path"]](scope, receive, send)


async def lifespan(scope, receive, send):
    assert (await receive())["type"] == "lifespan.startup"
    if "FAIL_AT_START" in os.environ:
        await send({"type": "lifespan.startup.failed", "message": "the database is away"})
        return
    scope["state"]["greeting"] = "hello"
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    print("the application has ended")
    await send({"type": "lifespan.shutdown.complete"})


async def answer(send, body, status=200, headers=()):
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def whole_body(receive):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def hello(scope, receive, send):
    await answer(send, scope["state"]["greeting"].encode(), headers=[(b"content-type", b"text/plain")])


async def echo(scope, receive, send):
    await answer(send, await whole_body(receive))


async def described(scope, receive, send):
    shown = {
        "method": scope["method"],
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode(),
        "query_string": scope["query_string"].decode(),
        "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
        "type": scope["type"],
        "http_version": scope["http_version"],
    }
    await answer(send, json.dumps(shown).encode(), 201)


async def backwards(scope, receive, send):
    """A piece out for each piece in, before the next one comes."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        message = await receive()
        await send({"type": "http.response.body", "body": message["body"][::-1], "more_body": True})
        if not message["more_body"]:
            break
    await send({"type": "http.response.body"})


async def meet(scope, receive, send):
    """Says how many calls are here at once, when the body says that there are enough."""
    wanted = int(await whole_body(receive))
    events.append("here")
    while len(events) < wanted:  # noqa: ASYNC110, other calls are the condition
        await asyncio.sleep(0.005)
    print("met", dict(scope["headers"])[b"x-call-id"].decode())
    await answer(send, b"%d" % os.getpid())


async def wait(scope, receive, send):
    """Waits for its caller to go, and notes in the file that the body names how it was told."""
    file = (await whole_body(receive)).decode()
    note(file, f"waiting {os.getpid()}")
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
        note(file, "disconnect")
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        note(file, "cancelled")
        raise


async def stubborn(scope, receive, send):
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)


async def hang(scope, receive, send):
    time.sleep(600)  # noqa: ASYNC251, that is the point


async def background(scope, receive, send):
    file = (await whole_body(receive)).decode()
    await answer(send, b"answered")
    await asyncio.sleep(0.2)
    note(file, "done")


async def listen(scope, receive, send):
    """Waits for the end in a task of its own, as frameworks do, and notes in the file how it was told."""
    file = (await whole_body(receive)).decode()
    listening = asyncio.create_task(receive())
    await asyncio.sleep(0)
    await answer(send, b"answered")
    note(file, (await listening)["type"])


async def fail(scope, receive, send):
    raise ValueError("a secret detail")


async def amid(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise ValueError("a secret detail")


async def silent(scope, receive, send):
    return


async def process(scope, receive, send):
    await answer(send, b"%d" % os.getpid())


async def length(scope, receive, send):
    await answer(send, b"12345", headers=[(b"content-length", b"5")])


def note(file, text):
    with open(file, "a") as notes:
        notes.write(text + "\n")


ROUTES = {
    "/": hello,
    "/echo": echo,
    "/a ü": described,
    "/backwards": backwards,
    "/meet": meet,
    "/wait": wait,
    "/stubborn": stubborn,
    "/hang": hang,
    "/background": background,
    "/listen": listen,
    "/fail": fail,
    "/amid": amid,
    "/silent": silent,
    "/process": process,
    "/length": length,
}
