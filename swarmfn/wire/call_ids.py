"""Call ids: the name of one invocation, from X-Call-Id to the RQ job id."""

from __future__ import annotations

import os
import re
import uuid

CALLBACK_PREFIX = "cb_"
"""Deliveries of callbacks are jobs of their own with ids of this form; clients may not choose such an id."""

_VARIANTS = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}
_VALID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def new_call_id() -> str:
    """A fresh call id (a UUID4, as OpenFaaS makes them)."""
    # What str(uuid4()) gives at a third of the cost: every call that is served needs one.
    text = os.urandom(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{_VARIANTS[text[16]]}{text[17:20]}-{text[20:]}"


def new_delivery_id() -> str:
    """A fresh id for the delivery of a callback."""
    return CALLBACK_PREFIX + uuid.uuid4().hex


def is_client_call_id(text: str) -> bool:
    """Whether a client may choose `text` as the id of its call."""
    return _VALID.fullmatch(text) is not None and not text.startswith(CALLBACK_PREFIX)
