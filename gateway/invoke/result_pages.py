"""What keeps a stored result from running as a page of the gateway's origin when a browser opens it."""

from __future__ import annotations

from gateway.invoke import origin_wide_headers
from swarmfn.wire.headers import Headers

_REPLACED = frozenset(
    {"x-content-type-options", "cache-control", *(name.decode() for name in origin_wide_headers.DROPPED)}
)
_ALWAYS = [
    ("Content-Security-Policy", "sandbox"),  # beside the function's own: browsers obey each of several policies
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
]


def guarded(headers: Headers, function: str) -> Headers:
    """The headers with those that make a result of `function` harmless; what may be rendered becomes a download."""
    kept = [_narrowed(name, value, function) for name, value in headers if name.lower() not in _REPLACED]
    if not _is_harmless([value for name, value in kept if name.lower() == "content-type"]):
        kept = [(name, value) for name, value in kept if name.lower() != "content-disposition"]
        kept.append(("Content-Disposition", "attachment"))
    return kept + _ALWAYS


def _is_harmless(types: list[str]) -> bool:
    # Of two types, or of a list, a browser takes the one it likes. SVG is a document that can hold scripts.
    if len(types) != 1 or "," in types[0]:
        return False
    kind = types[0].partition(";")[0].strip(" \t").lower()
    if kind in ("application/json", "text/plain"):
        return True
    main, _, sub = kind.partition("/")
    if main == "image":
        return bool(sub) and not sub.endswith("+xml")
    return main == "application" and sub.endswith("+json")


def _narrowed(name: str, value: str, function: str) -> tuple[str, str]:
    key = name.lower().encode("latin-1")
    if key not in origin_wide_headers.NARROWED:
        return name, value
    path = f"/function/{function}".encode("latin-1")
    return name, origin_wide_headers.narrowed(key, value.encode("latin-1"), path, is_root=True).decode("latin-1")
