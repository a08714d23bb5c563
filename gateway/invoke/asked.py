"""What a client asks of its asynchronous call in headers, read and checked before the body."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.invoke.callbacks import check_callback
from gateway.invoke.incoming import Incoming
from swarmfn.wire.errors import InvalidRequest
from swarmfn.wire.headers import CALLBACK_URL, IDEMPOTENCY_KEY

_NAMES = {name.lower().encode(): name for name in (CALLBACK_URL, IDEMPOTENCY_KEY)}
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_PLAIN = re.compile(r"[!-~]+")
_LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Asked:
    """Each as it was asked for, checked; empty when it was not."""

    callback_url: str = ""
    idempotency_key: str = ""


NOTHING = Asked()


def asked_by(incoming: Incoming) -> Asked:
    """Raises InvalidRequest that names the header and what it should hold."""
    # In one pass, which is all that most calls need.
    given = [pair for pair in incoming.headers if pair[0] in _NAMES]
    if not given:
        return NOTHING
    values: dict[str, str] = {}
    for name, value in given:
        header = _NAMES[name]
        if header in values and header != CALLBACK_URL:
            raise InvalidRequest(f"{header}: given more than once.", "Send it once.")
        values.setdefault(header, value.decode("latin-1").strip())
    callback_url = values.get(CALLBACK_URL, "")
    if callback_url:
        check_callback(callback_url)
    return Asked(callback_url=callback_url, idempotency_key=_key(values.get(IDEMPOTENCY_KEY)))


def _key(text: str | None) -> str:
    """The key in `text`: a string of RFC 8941 as the draft has it, or without its quotes, as most clients send it."""
    if text is None:
        return ""
    quoted = _QUOTED.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
    if not key or len(key) > _LONGEST_KEY or not (quoted or (_PLAIN.fullmatch(text) and not text.startswith('"'))):
        raise InvalidRequest(
            f"{IDEMPOTENCY_KEY}: {text[:100]!r} is not a key.",
            f"Send 1 to {_LONGEST_KEY} printable ASCII characters, such as a UUID; in double quotes if it has spaces.",
        )
    return key
