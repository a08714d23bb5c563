"""Produces its answer bit by bit, in the way that the path names; the body is a folder for what it waits for."""

import asyncio
import os
import time


def _wait_for(folder, name):
    while not os.path.exists(os.path.join(folder, name)):
        time.sleep(0.01)


def pieces(folder):
    yield "first "
    _wait_for(folder, "go on")
    yield b"second"


async def async_pieces(folder):
    for number in range(3):
        await asyncio.sleep(0)
        yield f"{number} "


def fails_first(folder):
    raise ValueError("a secret detail")
    yield ""


def fails_amid(folder):
    yield "half"
    raise ValueError("a secret detail")


def forever(folder):
    try:
        while True:
            yield "x" * 1000
    finally:
        with open(os.path.join(folder, "ended"), "w") as file:
            file.write("yes")


def nothing(folder):
    yield from ()


def hangs(folder):
    yield f"{os.getpid()} "
    time.sleep(600)


def large(folder):
    yield bytes(3_000_000)


def handle(event, context):
    folder = event.body.decode()
    name = event.path.strip("/")
    if name == "dict":
        return {"statusCode": 202, "headers": {"Content-Type": "text/csv"}, "body": iter(["a,", "b"])}
    if name == "tuple":
        return (part for part in (b"x", b"y")), 203
    if name == "number":
        return iter([1])
    return globals()[name](folder)
