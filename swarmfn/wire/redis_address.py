"""Where Redis is: the one parser of `faas_redis_address`."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

EXPECTED = "host:port, or a URL such as redis://host:6379/0, rediss://user:password@host:6380 or unix:///run/redis.sock"

# A health check imports this every few seconds, which dataclasses would make half as dear again.
_PORT = 6379
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_IPV6 = re.compile(r"\[([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[\w.-]+)?)\]")


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
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.path or f"{host}:{self.port}"

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
    """`text` without what may be a user and a password in it."""
    scheme, found, rest = text.rpartition("://")
    return f"{scheme}{found}…@{rest.rpartition('@')[2]}" if "@" in rest else text


def _of_place(text: str) -> RedisAddress:
    host, colon, port = text, "", ""
    if not text.endswith("]"):
        host, colon, port = text.partition(":") if text.count(":") <= 1 else text.rpartition(":")
    return RedisAddress(_host(host), _number(port, 65535) if colon else _PORT)


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
    return found._replace(database=_number(number, 10_000, least=0)) if number else found


def _host(text: str) -> str:
    if found := _IPV6.fullmatch(text):
        return found[1]
    if not _HOST.fullmatch(text):
        raise ValueError
    return text


def _number(text: str, most: int, least: int = 1) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not least <= int(text) <= most:
        raise ValueError
    return int(text)
