"""Which pages of other origins may call functions from a browser (CORS, as the Fetch standard has it).

Without the setting nothing here is in any call's way: the front ends are put together without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gateway.invoke.incoming import METHODS
from swarmfn.wire.headers import Headers

ANY = "*"
ORIGIN = "origin"
_ASKED_METHOD = "access-control-request-method"
_ASKED_HEADERS = "access-control-request-headers"
_GRANT = "access-control-allow-origin"
_CALLS = ("/function/", "/async-function/")
_MAX_AGE = "600"
_FORM = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.\[\]:-]+", re.IGNORECASE)


def parse_origins(text: str) -> tuple[str, ...]:
    """`*`, or origins separated by commas or spaces. Raises ValueError for what no browser would send."""
    origins = tuple(text.replace(",", " ").split())
    if origins != (ANY,) and not all(_FORM.fullmatch(origin) for origin in origins):
        raise ValueError(text)
    return tuple(origin.lower() for origin in origins)


class CrossOrigin:
    """Knows the `origins` that may call; ANY for all of them. Credentials that a browser keeps are never let through:
    a page has to bring its own."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origins)
        self._is_any = ANY in self._origins

    def concerns(self, path: str) -> bool:
        """Whether `path` is one that functions are called at."""
        return path.startswith(_CALLS)

    def preflight(self, method: str, request_headers: Iterable[tuple[str, str]]) -> Headers | None:
        """The headers of the answer to a browser's question whether it may call; None when this is not such a question,
        or it may not. Names of headers are in lower case."""
        if method != "OPTIONS":
            return None
        headers = dict(request_headers)
        granted = self._granted(headers.get(ORIGIN, ""))
        if not granted or _ASKED_METHOD not in headers:
            return None
        answer = [(_GRANT, granted), ("access-control-allow-methods", ", ".join(METHODS))]
        if _ASKED_HEADERS in headers:
            answer.append(("access-control-allow-headers", headers[_ASKED_HEADERS]))
        return [*answer, ("access-control-max-age", _MAX_AGE), *self._vary()]

    def grant(self, origin: str, present: Iterable[str]) -> Headers:
        """What an answer to a call from `origin` ("" for none) gets besides the headers named `present`, in lower case.
        A function that decides for itself is left to."""
        if _GRANT in present:
            return []
        granted = self._granted(origin)
        grants: Headers = [(_GRANT, granted), ("access-control-expose-headers", "*")] if granted else []
        return [*grants, *self._vary()]

    def _granted(self, origin: str) -> str:
        if not origin:
            return ""
        return ANY if self._is_any else origin if origin.lower() in self._origins else ""

    def _vary(self) -> Headers:
        # Or a cache would hand one origin's answer to another.
        return [] if self._is_any else [("vary", "Origin")]
