"""What handlers do with event.headers."""

import json


def listed(event, context):
    wanted = dict(event.headers)
    return {"body": json.dumps([wanted.get("X-Api-Key"), wanted.get("x-api-key"), wanted.get("Content-Type")])}


def any_case(event, context):
    return {"body": [event.headers["X-API-KEY"], event.headers["x-api-key"], event.headers.get("X-Api-key")]}


def with_underscores(event, context):
    return {"body": event.headers.get("x_api_key", "none")}


def repeated(event, context):
    return {"body": event.headers.get("X-Part")}


def typed(event, context):
    return {
        "body": {"count": event.headers.get("X-Count", 1, type=int), "bad": event.headers.get("X-Bad", 7, type=int)}
    }


def all_of_a_name(event, context):
    return {"body": [event.headers.getlist("X-Part"), event.headers.get_all("x-part"), event.headers.getlist("X-None")]}


def all_typed(event, context):
    return {"body": event.headers.getlist("X-Count", type=int)}


def iterated(event, context):
    return {"body": sorted([name, value] for name, value in event.headers if name.startswith("X-"))}


def names_and_values(event, context):
    names = sorted(filter(lambda name: name.startswith("X-"), event.headers.keys()))
    values = [value for name, value in event.headers.items() if name.startswith("X-")]
    return {"body": {"names": names, "values": values}}


def lower_names(event, context):
    return {"body": sorted(name for name, _ in event.headers.items(lower=True) if name.startswith("x-"))}


def missing_is_an_error(event, context):
    return {"body": event.headers["X-Missing"]}


def missing_is_caught(event, context):
    try:
        return event.headers["X-Missing"]
    except KeyError:
        return {"statusCode": 401, "body": "a key is needed", "headers": {"WWW-Authenticate": "Bearer"}}


def bearer_token(event, context):
    scheme, _, token = event.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or token != "sesame":
        return {"statusCode": 403, "body": {"error": "forbidden"}}
    return {"statusCode": 200, "body": {"user": "me"}}


def membership(event, context):
    return {"body": {"yes": "x-api-key" in event.headers, "no": "X-Missing" in event.headers}}


def content_type(event, context):
    if event.headers.get("Content-Type") != "application/json":
        return {"statusCode": 415, "body": "JSON, please"}
    return {"body": {"got": json.loads(event.body)}}


def length(event, context):
    return {"body": {"length": event.headers.get("Content-Length", type=int)}}


def oddly_named(event, context):
    return {"body": sorted(filter(lambda name: name.startswith("X-"), event.headers.keys()))}


def change_is_refused(event, context):
    try:
        event.headers["X-New"] = "1"
    except TypeError as refused:
        return {"statusCode": 409, "body": type(refused).__name__}
