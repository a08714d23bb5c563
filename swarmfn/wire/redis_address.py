"""Where Redis is: the one parser of `faas_redis_address`."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from swarmfn.wire.addresses import join_address, split_address

EXPECTED = "host:port, or a URL such as redis://host:6379/0, rediss://user:password@host:6380 or unix:///run/redis.sock"

# A health check imports this every few seconds, which dataclasses would make half as slow again.
_PORT = 6379
_LONGEST_SHOWN = 200


class RedisAddress(NamedTuple):
    """`path` is that of a socket in the file system, "" for host and port. username, password: "" unless they are part
    of the address; ca_certs: the file with the authorities that TLS trusts, "" for the machine's."""

    host: str = ""
    port: int = _PORT
    path: str = ""
    is_tls: bool = False
    database: int = 0
    username: str = ""
    password: str = ""
    ca_certs: str = ""

    def __str__(self) -> str:
        """For people, without the password."""
        return self.path or join_address(self.host, self.port)

    @property
    def url(self) -> str:
        """As a URL, without user, password and authorities."""
        if self.path:
            return f"unix://{quote(self.path)}?db={self.database}"
        return f"redis{'s' if self.is_tls else ''}://{self}/{self.database}"

    def __repr__(self) -> str:
        return f"RedisAddress({self})"


def parse_redis_address(text: str) -> RedisAddress:
    """`host`, `host:port`, `[::1]:port`, or a URL: redis://, rediss:// (TLS) or unix://, with user, password and number
    of the database; rediss:// with ?ssl_ca_certs=FILE. Raises ValueError, which does not quote passwords."""
    try:
        return _of_url(text) if "://" in text else _of_place(text)
    except ValueError:
        raise ValueError(f"expected {EXPECTED}, got {without_password(text)!r}") from None


def without_password(text: str) -> str:
    """`text` without what may be a user, a password or an option in it."""
    scheme, found, rest = text.partition("://")
    if not found:
        scheme, rest = "", text
    if "@" in rest:
        rest = f"…@{rest.rpartition('@')[2]}"
    elif found:
        # Where no host follows, what stands in the place of a port may be a password.
        rest = re.sub(r"^([^/?#]*):(?!\d+([/?#]|$))[^/?#\]]+(?=[/?#]|$)", r"\1:…", rest)
    place, mark, _ = rest.partition("?")
    return f"{scheme}{found}{place}{mark and '?…'}"[:_LONGEST_SHOWN]


def _of_place(text: str) -> RedisAddress:
    return RedisAddress(*split_address(text, _PORT))


def _of_url(text: str) -> RedisAddress:
    url = urlsplit(text)
    if url.fragment:
        raise ValueError
    options = dict(parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query)))
    login, _, place = url.netloc.rpartition("@")
    username, _, password = map(unquote, login.partition(":"))
    if url.scheme == "unix":
        found = RedisAddress(path=unquote(url.path), username=username, password=password)
        number = options.pop("db", "")
        if place or not url.path.strip("/"):
            raise ValueError
    else:
        at = _of_place(place)
        is_tls = {"redis": False, "rediss": True}.get(url.scheme)
        number = url.path.removeprefix("/") or options.pop("db", "")
        if is_tls is None:
            raise ValueError
        ca_certs = options.pop("ssl_ca_certs", "") if is_tls else ""
        found = RedisAddress(at.host, at.port, "", is_tls, 0, username, password, ca_certs)
    if options:
        raise ValueError
    return found._replace(database=_database(number)) if number else found


def _database(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text):
        raise ValueError
    return int(text)
