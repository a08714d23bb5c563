"""What handlers do with event.query."""

import copy
import json


def first_value(event, context):
    return {"statusCode": 200, "body": event.query["name"]}


def missing_name(event, context):
    return "hello " + event.query["name"]


def get_with_default(event, context):
    return "hello " + event.query.get("name", "stranger")


def get_of_nothing(event, context):
    return {"body": {"name": event.query.get("name")}}


def get_typed(event, context):
    page = event.query.get("page", default=1, type=int)
    return {"statusCode": 200, "body": {"page": page, "next": page + 1}}


def get_typed_or_nothing(event, context):
    return {"body": [event.query.get("page", type=int), event.query.get("ratio", type=float)]}


def get_flag(event, context):
    verbose = event.query.get("verbose", False, type=lambda text: text.lower() in ("1", "true", "yes"))
    return {"body": {"verbose": verbose}}


def all_values(event, context):
    return {"body": {"tags": event.query.getlist("tag"), "none": event.query.getlist("nothing")}}


def all_values_typed(event, context):
    return {"body": {"sum": sum(event.query.getlist("n", type=int))}}


def flat_dict(event, context):
    return {"body": event.query.to_dict()}


def full_dict(event, context):
    return {"body": json.dumps(event.query.to_dict(flat=False))}


def plain_dict(event, context):
    return {"body": json.dumps(dict(event.query))}


def dumped_as_it_is(event, context):
    return {"body": json.dumps(event.query), "headers": {"Content-Type": "application/json"}}


def as_the_body(event, context):
    return {"statusCode": 200, "body": {"args": event.query}}


def lists(event, context):
    return {"body": [[name, values] for name, values in event.query.lists()]}


def list_values(event, context):
    return {
        "body": {"names": list(event.query), "first": list(event.query.values()), "all": list(event.query.listvalues())}
    }


def pairs(event, context):
    return {"body": {"first": list(event.query.items()), "all": list(event.query.items(multi=True))}}


def membership_and_length(event, context):
    return {"body": {"has": "a" in event.query, "size": len(event.query), "any": bool(event.query)}}


def keyword_arguments(event, context):
    def greet(name="you", **rest):
        return f"{name} {sorted(rest)}"

    return greet(**event.query)


def key_error_caught(event, context):
    try:
        return {"body": event.query["id"]}
    except KeyError as missing:
        return {"statusCode": 422, "body": f"missing {missing.args[0]}"}


def changed_copy(event, context):
    query = event.query.copy()
    query["page"] = "2"
    query.add("tag", "new")
    return {"body": query.to_dict(flat=False)}


def change_is_refused(event, context):
    try:
        event.query["page"] = "2"
    except TypeError as refused:
        return {"statusCode": 409, "body": type(refused).__name__}


def deep_copy(event, context):
    return {"body": copy.deepcopy(event.query).to_dict(flat=False)}


def shown(event, context):
    return repr(event.query)


def is_a_dict(event, context):
    return {"body": {"dict": isinstance(event.query, dict)}}
