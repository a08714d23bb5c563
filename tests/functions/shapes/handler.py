"""Returns what the body names: every kind of result a handler may return."""

RESULTS = {
    "text": "grüße",
    "bytes": b"\x00\xff",
    "none": None,
    "data": {"a": [1, 2]},
    "list": [1, 2],
    "status": {"statusCode": 201, "headers": {"X-One": "1", "Set-Cookie": ["a=1", "b=2"]}, "body": "made"},
    "status with data": {"statusCode": "404", "body": {"missing": True}},
    "only body": {"body": "just this"},
    "no content": {"statusCode": 204, "body": "never seen"},
    "pair": ("gone", 410),
    "triple": (b"pdf", 200, {"Content-Type": "application/pdf"}),
    "object": object(),
    "bad status": {"statusCode": 7},
    "bad header": {"statusCode": 200, "headers": {"X-A": "b\r\nX-Injected: 1"}, "body": ""},
    "own length": {"statusCode": 200, "headers": {"Content-Length": "3", "Transfer-Encoding": "x"}, "body": "12345"},
}


def handle(event, context):
    return RESULTS[event.body.decode()]
