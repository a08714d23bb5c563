"""Where a server listens, from a URL."""

from __future__ import annotations

import re
from typing import NamedTuple

_URL = re.compile(r"http://(?:\[([0-9A-Fa-f:.]+)\]|([^\s/:?#@\[\]]+))(?::([0-9]{1,5}))?(/[\x21-\x7e]*)?")


class HttpAddress(NamedTuple):
    """`path` comes before the path of each request; it does not end with a slash."""

    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> HttpAddress:
        """Raises ValueError for anything but `http://HOST[:PORT][/PATH]`."""
        match = _URL.fullmatch(url)
        if match is None or "?" in (match[4] or "") or "#" in (match[4] or ""):
            raise ValueError(f'expected a URL such as "http://127.0.0.1:3000", got {url!r}')
        port = int(match[3] or 80)
        if not 0 < port < 65536:
            raise ValueError(f"expected a port below 65536, got {url!r}")
        return cls(match[1] or match[2], port, (match[4] or "").rstrip("/"))
