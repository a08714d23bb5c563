"""What is done to rq-dashboard's answers before they reach a browser.

Its pages put fields of jobs and workers into the document as they are. Here the pages get a policy under which no
script runs but their own, and the fields lose their markup before they are sent.
"""

from __future__ import annotations

import html
import json
from typing import Any

from flask import Response

_OWN_SCRIPT = '<script type="text/javascript">'
_HEAD_END = "</head>"
# Compacting is refused, but the page has no setting to leave its button out.
_STYLE = "<style>#compact-btn { display: none; }</style>"

_ESCAPED_BY_PAGE = {"list_jobs": frozenset({"description", "exc_info"}), "list_workers": frozenset({"description"})}
"""Fields by view that the page's own template escapes; twice would show."""


def protect_page(response: Response, nonce: str) -> None:
    """Gives a page its Content-Security-Policy; `nonce` marks the page's own script as the only one that may run."""
    page = response.get_data(as_text=True)
    page = page.replace(_OWN_SCRIPT, _OWN_SCRIPT.replace("<script", f'<script nonce="{nonce}"'), 1)
    page = page.replace(_HEAD_END, _STYLE + _HEAD_END, 1)
    response.set_data(page)
    response.headers["Content-Security-Policy"] = _policy(nonce)


def remove_markup(response: Response, view: str) -> None:
    """Escapes every text in the JSON answer of `view`, other than those that the page escapes itself. Those have no
    markup either in the answer as it is sent, whatever someone takes it for."""
    document = _escaped(response.get_json(), _ESCAPED_BY_PAGE.get(view, frozenset()))
    response.set_data(json.dumps(document).replace("<", "\\u003c"))


def _policy(nonce: str) -> str:
    # unsafe-eval: the page compiles its templates. unsafe-inline for styles: its elements carry style attributes.
    return (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _escaped(value: Any, spared: frozenset[str]) -> Any:
    if isinstance(value, str):
        return html.escape(value)
    if isinstance(value, list):
        return [_escaped(item, spared) for item in value]
    if isinstance(value, dict):
        return {
            html.escape(key): item if key in spared and isinstance(item, str) else _escaped(item, spared)
            for key, item in value.items()
        }
    return value
