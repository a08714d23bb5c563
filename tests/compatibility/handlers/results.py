"""What handlers return: text, bytes, dicts with a status, tuples, generators."""

import http


def nothing(event, context):
    return None


def text(event, context):
    return "grüße"


def page(event, context):
    return {"statusCode": 200, "body": "<html><body><h1>Hi</h1></body></html>"}


def raw_bytes(event, context):
    return b"\x00\x01\xff"


def echo(event, context):
    return event.body


def bytes_with_type(event, context):
    return b"%PDF-1.4", 200, {"Content-Type": "application/pdf"}


def array_of_bytes(event, context):
    return bytearray(b"abc")


def only_status(event, context):
    return {"statusCode": 201}


def no_content(event, context):
    return {"statusCode": 204, "body": ""}


def not_modified(event, context):
    return "", 304, {"ETag": '"1"'}


def status_and_headers(event, context):
    return {"statusCode": 418, "body": "short and stout", "headers": {"X-Pot": "tea", "Content-Type": "text/plain"}}


def header_pairs(event, context):
    return {"statusCode": 200, "body": "two", "headers": [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]}


def number_in_a_header(event, context):
    return "ok", 200, {"X-Count": 5}


def redirect(event, context):
    return {"statusCode": 302, "body": "", "headers": {"Location": "/elsewhere?ü=1"}}


def exception_as_body(event, context):
    try:
        return {"statusCode": 200, "body": int(event.body)}
    except ValueError as failed:
        return {"statusCode": 400, "body": failed}


def number_as_body(event, context):
    return {"statusCode": 200, "body": 42}


def truth_as_body(event, context):
    return {"statusCode": 200, "body": True}


def body_and_status(event, context):
    return "gone", 410


def status_in_words(event, context):
    return "made", "201 CREATED"


def status_of_the_library(event, context):
    return {"statusCode": http.HTTPStatus.ACCEPTED, "body": "later"}


def body_and_headers(event, context):
    return "a,b", {"Content-Type": "text/csv"}


def body_and_header_pairs(event, context):
    return "a,b", [("Content-Type", "text/csv"), ("X-Rows", "1")]


def generator(event, context):
    def rows():
        yield "a,b\n"
        yield b"1,2\n"

    return rows()


def generator_with_headers(event, context):
    return (f"{number}\n" for number in range(3)), 200, {"Content-Type": "text/csv"}


def markup(event, context):
    class Page(str):
        pass

    return Page("<b>bold</b>")


def fails(event, context):
    raise RuntimeError("a secret detail")


def returns_a_set(event, context):
    return {1, 2}


def method_and_path(event, context):
    return {"body": {"method": event.method, "path": event.path}}
