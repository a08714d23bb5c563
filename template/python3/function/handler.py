"""What this function does."""


def handle(req):
    """`req` is the request's body as str (bytes when it is not UTF-8); return the answer, or yield it in pieces."""
    return "hello " + req
