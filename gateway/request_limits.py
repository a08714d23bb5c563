"""How long and how large a client's request may be, on either front end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RequestLimits:
    """Seconds for a whole request to arrive, for a client that does not read, and for an idle connection; bytes of a
    request's head."""

    read_timeout: float
    write_timeout: float
    idle_timeout: float = 75.0
    head_size: int = 64 * 1024
