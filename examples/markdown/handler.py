"""Markdown in, HTML out, with tables and fenced code blocks.

`?then=URL` goes out as X-Callback-Url: when the result of an asynchronous call is delivered to another function by its
asynchronous route, that function's own result goes on to the URL. So a function chooses what comes next.

HTML inside the Markdown is passed on as it is: clean the result before you show a stranger's text in a page.
"""

from __future__ import annotations

from typing import Any

import markdown

EXTENSIONS = ["tables", "fenced_code", "sane_lists"]


def handle(event: Any, context: Any) -> dict[str, Any]:
    """The body rendered as an HTML fragment; 400 for a body that is not UTF-8, or a `then` that is not a URL."""
    try:
        text = event.body.decode("utf-8-sig")
        onward = _onward(event.query.get("then"))
    except ValueError as exc:
        return _answer(400, "text/plain", f"markdown: {exc}\n", {})
    return _answer(200, "text/html", _rendered(text), onward)


def _rendered(text: str) -> str:
    return markdown.markdown(text, extensions=EXTENSIONS, output_format="html") + "\n"


def _onward(url: str | None) -> dict[str, str]:
    """The header that sends the next function's result to `url`."""
    if not url:
        return {}
    # A line break here would let a caller write headers of its own into the answer.
    if not (url.startswith(("http://", "https://")) and url.isascii() and url.isprintable()):
        raise ValueError(f"then: expected an http or https URL, got {url!r:.100}")
    return {"X-Callback-Url": url}


def _answer(status: int, content_type: str, body: str, headers: dict[str, str]) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"Content-Type": f"{content_type}; charset=utf-8", **headers},
        "body": body,
    }
