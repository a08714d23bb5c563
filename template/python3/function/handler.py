"""What this function does."""


def handle(req):
    """`req` is the request's body as str (bytes when it is not UTF-8), os.environ has Http_Method, Http_Query, Http_Path
    and the headers; what is printed and returned is the answer."""
    return "hello " + req
