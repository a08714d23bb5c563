"""What this function does."""


def handle(event, context):
    """`event` has body (bytes), headers, method, query and path; the answer may also be a str, bytes or a dict."""
    return {"statusCode": 200, "headers": {"Content-Type": "text/plain"}, "body": b"hello " + event.body}
