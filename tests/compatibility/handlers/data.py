"""What handlers return as data."""

import dataclasses
import datetime
import decimal
import uuid


@dataclasses.dataclass
class Item:
    name: str
    price: decimal.Decimal
    seen: datetime.date


def body_of_a_dict(event, context):
    return {"statusCode": 200, "body": {"b": 1, "a": [1, 2.5, None, True], "ü": "ß"}}


def list_at_the_top(event, context):
    return [{"b": 1, "a": 2}, "x"]


def dict_in_a_tuple(event, context):
    return {"error": "not found"}, 404


def dict_with_headers(event, context):
    return {"a": 1}, 200, {"Content-Type": "application/hal+json", "X-Total": "1"}


def dates(event, context):
    east = datetime.timezone(datetime.timedelta(hours=2))
    return {
        "body": {
            "day": datetime.date(2024, 2, 29),
            "naive": datetime.datetime(2024, 2, 29, 12, 30, 15),
            "aware": datetime.datetime(2024, 3, 1, 1, 30, 15, tzinfo=east),
            "old": datetime.date(987, 6, 5),
        }
    }


def decimals_and_uuids(event, context):
    return [decimal.Decimal("1.10"), uuid.UUID(int=5)]


def data_class(event, context):
    return {"body": {"item": Item("tea", decimal.Decimal("2.50"), datetime.date(2024, 1, 1))}}


def has_html(event, context):
    class Bold:
        def __html__(self):
            return "<b>bold</b>"

    return [Bold()]


def no_form_in_json(event, context):
    return {"statusCode": 200, "body": {"what": object()}}


def numbers_as_keys(event, context):
    return {"statusCode": 200, "body": {2: "b", 1: "a"}}


def empty_dict_and_list(event, context):
    return [{}, []]
