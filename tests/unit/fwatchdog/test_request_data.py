"""`event.query` and `event.headers` beside Werkzeug's own: the same questions, the same answers."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.datastructures import EnvironHeaders
from werkzeug.exceptions import BadRequestKeyError as TheirKeyError
from werkzeug.wrappers import Request

from fwatchdog.python_worker.multidict import BadRequestKeyError, parse_query
from fwatchdog.python_worker.request_headers import RequestHeaders

QUERY = "name=ann&page=7&a=1&a=2&tag=x&tag=y&n=1&n=two&n=3&empty=&%C3%BC=%FF%fe+z&a;b&&=nameless"


def outcome(question: Callable[[Any], Any], subject: Any) -> Any:
    """What comes of it: a value, or a kind of exception."""
    try:
        return question(subject)
    except TypeError:
        return TypeError
    except (TheirKeyError, BadRequestKeyError) as exc:
        return "bad request", exc.args
    except KeyError:
        return KeyError


def _changed(subject: Any) -> Any:
    copied = subject.copy()
    copied["page"] = "2"
    copied.add("a", "3")
    copied.setlist("tag", ["z"])
    copied.setdefault("new", "n")
    copied.update({"list": ["1", "2"], "one": "1"})
    return [copied.to_dict(flat=False), copied.pop("a"), copied.poplist("n"), copied.pop("none", 5), sorted(copied)]


@pytest.mark.parametrize(
    "question",
    [
        lambda q: q["a"],
        lambda q: q["none"],
        lambda q: q.get("none"),
        lambda q: q.get("none", 5),
        lambda q: q.get("page", type=int),
        lambda q: q.get("name", 1, int),
        lambda q: q.get("name", type=lambda text: None + text),
        lambda q: q.getlist("n", type=int),
        lambda q: q.getlist("none"),
        lambda q: [q.to_dict(), q.to_dict(flat=False), dict(q), {**q}],
        lambda q: [list(q), list(q.keys()), list(q.values()), list(q.listvalues()), list(q.lists())],
        lambda q: [list(q.items()), list(q.items(multi=True))],
        lambda q: [len(q), "a" in q, "none" in q, bool(q), repr(q)],
        lambda q: [json.dumps(q), json.dumps(q, sort_keys=True)],
        lambda q: copy.deepcopy(q).to_dict(flat=False),
        lambda q: pickle.loads(pickle.dumps(q)).to_dict(flat=False),
        lambda q: (q | {"b": "1", "a": "4"}).to_dict(flat=False),
        lambda q: q == copy.copy(q),
        lambda q: q.copy().pop("none"),
        _changed,
        lambda q: q.__setitem__("a", 1),
        lambda q: q.add("a", 1),
        lambda q: q.update(a=1),
        lambda q: q.pop("a"),
        lambda q: q.clear(),
        lambda q: q.setlist("a", []),
        lambda q: q.__delitem__("a"),
    ],
)
@pytest.mark.parametrize("text", [QUERY, "", "%00=%2B&%E2%82=x"])
def test_query_is_a_multidict(question: Callable[[Any], Any], text: str) -> None:
    theirs = Request({"QUERY_STRING": text}).args
    assert outcome(question, parse_query(text)) == outcome(question, theirs)


PAIRS = [
    ("Host", "f:8080"), ("x-api-KEY", "k"), ("X-Part", "1"), ("X-PART", "2"), ("X-3d-name", "n"), ("X-Count", "3"),
    ("Content-Type", "text/css"), ("Content-Length", "5"), ("Cookie", "a=1"), ("Connection", "close"),
]  # fmt: skip
ENVIRON = {
    "REQUEST_METHOD": "GET", "HTTP_HOST": "f:8080", "HTTP_X_API_KEY": "k", "HTTP_X_PART": "1, 2", "HTTP_X_3D_NAME": "n",
    "HTTP_X_COUNT": "3", "CONTENT_TYPE": "text/css", "CONTENT_LENGTH": "5", "HTTP_COOKIE": "a=1",
}  # fmt: skip


@pytest.mark.parametrize(
    "question",
    [
        lambda h: h["x-aPi-key"],
        lambda h: h["X_Api_Key"],
        lambda h: h["X-None"],
        lambda h: h[5],
        lambda h: h.get("none"),
        lambda h: h.get("X-None", 5),
        lambda h: h.get("X-Count", type=int),
        lambda h: h.get("X-Api-Key", 7, type=int),
        lambda h: [h.getlist("x-part"), h.get_all("X-Part"), h.getlist("x-count", type=int), h.getlist("none")],
        lambda h: [dict(h), list(h), list(h.keys()), list(h.values()), list(h.items())],
        lambda h: [list(h.items(lower=True)), list(h.keys(lower=True))],
        lambda h: [len(h), "x-part" in h, "none" in h, str(h), h.to_wsgi_list()],
        lambda h: h.__setitem__("X-New", "1"),
        lambda h: h.add("X-New", "1"),
        lambda h: h.update({"X-New": "1"}),
        lambda h: h.copy(),
        lambda h: h | {"X-New": "1"},
    ],
)
def test_headers_are_flasks(question: Callable[[Any], Any]) -> None:
    assert outcome(question, RequestHeaders(PAIRS)) == outcome(question, EnvironHeaders(ENVIRON))


def test_cookies_in_several_headers_stay_a_list_of_cookies() -> None:
    assert RequestHeaders([("Cookie", "a=1"), ("cookie", "b=2")])["Cookie"] == "a=1; b=2"


def test_header_with_an_underscore_is_not_taken_for_the_one_with_a_dash() -> None:
    headers = RequestHeaders([("X_User", "forged"), ("X-User", "me")])
    assert headers["X-User"] == "me"
    assert "X-User" not in RequestHeaders([("X_User", "forged")])
