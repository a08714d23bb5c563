"""Headers of a function's answer by which a browser would act on the whole origin: the gateway and every function."""

from __future__ import annotations

import re

DROPPED = frozenset(
    {
        b"alt-svc",  # moves the origin's requests to another server (RFC 7838)
        b"clear-site-data",
        b"nel",  # reports the origin's requests to somebody (W3C Network Error Logging), and so does the next
        b"report-to",
        b"public-key-pins",
        b"public-key-pins-report-only",
        b"service-worker-allowed",
        b"set-login",
        b"strict-transport-security",  # holds for the host, every port of it (RFC 6797)
    }
)
"""What no single function can decide; names in lower case."""

NARROWED = frozenset({b"set-cookie", b"www-authenticate"})
"""What one may say of itself; names in lower case."""

OUR_REALM = "Restricted"
"""The management API's, for which browsers know the admin's credentials."""

_REALM = re.compile(rb'realm[ \t]*=[ \t]*(?:"[^"]*"?|[^ \t,]*)', re.IGNORECASE)


def narrowed(name: bytes, value: bytes, path: bytes, is_root: bool) -> bytes:
    """The value of a header of NARROWED, so that it is about `path` alone.

    `path` is the function's own, such as `/function/shop`; `is_root` says that precisely this was called, without
    anything behind it.
    """
    if name == b"set-cookie":
        return _cookie(value, path, is_root)
    return _challenge(value, path.rpartition(b"/")[2])


def _cookie(value: bytes, path: bytes, is_root: bool) -> bytes:
    """The cookie for `path` and what is below it, on this host alone (RFC 6265, section 5.2)."""
    pair, *attributes = value.split(b";")
    kept = [pair]
    # Without a path the browser takes the called one's folder, which is that of all functions for /function/shop.
    wanted = path if is_root else b""
    for attribute in attributes:
        key, _, text = attribute.partition(b"=")
        key = key.strip().lower()
        if key == b"path":
            text = text.strip()
            wanted = text if text == path or text.startswith(path + b"/") else path
        elif key != b"domain":
            kept.append(attribute)
    if wanted:
        kept.append(b" Path=" + wanted)
    return b";".join(kept)


def _challenge(value: bytes, function: bytes) -> bytes:
    """The challenge under the function's name instead of our realm."""
    plain = value.replace(b"\\", b"")  # quoted pairs stand for the characters themselves
    if OUR_REALM.lower().encode() not in plain.lower():
        return value
    return _REALM.sub(b'realm="' + function + b'"', plain)
