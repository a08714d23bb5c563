"""Answers with the body it got, and says how it saw the request."""

import json


def handle(event, context):
    seen = {
        "method": event.method,
        "path": event.path,
        "query": dict(event.query),
        "call_id": event.headers.get("x-call-id"),
        "hostname": context.hostname,
    }
    media_type = event.headers.get("Content-Type", "application/octet-stream")
    headers = {"Content-Type": media_type, "X-Seen": json.dumps(seen)}
    return {"statusCode": 200, "headers": headers, "body": event.body}
