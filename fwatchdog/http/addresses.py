"""Where a server listens, from a URL."""

from __future__ import annotations

import re
from typing import NamedTuple

from swarmfn.wire.addresses import split_address

_URL = re.compile(r"http://([^\s/?#@]+)(/[\x21-\x7e]*)?")


class HttpAddress(NamedTuple):
    """`path` comes before the path of each request; it does not end with a slash."""

    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> HttpAddress:
        """Raises ValueError for anything but `http://HOST[:PORT][/PATH]`."""
        match = _URL.fullmatch(url)
        path = (match and match[2]) or ""
        try:
            if match is None or "?" in path or "#" in path:
                raise ValueError
            return cls(*split_address(match[1], 80), path.rstrip("/"))
        except ValueError:
            raise ValueError(f'expected a URL such as "http://127.0.0.1:3000", got {url!r}') from None
