"""`handle(req)` with modules of its own, imported both ways."""

import louder
from function import handler as itself

from .suffix import SUFFIX


def handle(req):
    if isinstance(req, bytes):
        return req[::-1]
    assert itself.handle is handle
    return louder.louder(req) + SUFFIX
