"""Markdown in, HTML out, with tables and fenced code blocks.

HTML inside the Markdown is passed on as it is: clean the result before you show a stranger's text in a page.
"""

from __future__ import annotations

from typing import Any

import markdown

EXTENSIONS = ["tables", "fenced_code", "sane_lists"]


def handle(event: Any, context: Any) -> dict[str, Any]:
    """The body rendered as an HTML fragment; 400 for a body that is not UTF-8."""
    try:
        text = event.body.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        return _answer(400, "text/plain", f"markdown: the body is not UTF-8 text: {exc}\n")
    return _answer(200, "text/html", markdown.markdown(text, extensions=EXTENSIONS, output_format="html") + "\n")


def _answer(status: int, content_type: str, body: str) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"Content-Type": f"{content_type}; charset=utf-8"}, "body": body}
