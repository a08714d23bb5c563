"""Hosts and ports as text: the one parser of them, for every setting and every program."""

from __future__ import annotations

import re

# A health check imports this every few seconds: nothing expensive is imported before it is needed.
_NAME = re.compile(r"\w([\w.-]*[\w.])?")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[\w.-]+)?")
_ENGINE = re.compile(r"(unix|npipe)://.+|(tcp|http|https|ssh)://([^\s/@]*@)?([^\s/@]+)(/\S*)?|([^\s/@]+:[0-9]+)")


def parse_host(text: str) -> str:
    """A host's name, its IPv4 address, or its IPv6 address, which may be in brackets and is returned without. Raises
    ValueError."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in bare:
        if not _is_ipv6(bare):
            raise ValueError(f"{text!r} is not the address of a host")
        return bare
    if bare is not text or not _NAME.fullmatch(text) or ".." in text:
        raise ValueError(f"{text!r} is not the name or address of a host")
    return text


def parse_port(text: str) -> int:
    """Raises ValueError for anything but a whole number from 1 to 65535."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise ValueError(f"{text!r} is not a port")
    return int(text)


def split_address(text: str, default_port: int | None = None) -> tuple[str, int]:
    """("::1", 8080) for "[::1]:8080", ("echo", 8080) for "echo:8080"; without a port, `default_port`. An IPv6 address
    has to be in brackets. Raises ValueError for anything else."""
    host, colon, port = text.rpartition(":")
    if default_port is not None and (not colon or text.endswith("]")):
        host, port = text, str(default_port)
    if ":" in host and not host.startswith("["):
        raise ValueError("an IPv6 address must be in brackets")
    if not host or not port:
        raise ValueError("not an address of the form host:port")
    return parse_host(host), parse_port(port)


def check_engine_address(text: str) -> None:
    """Raises ValueError unless a Docker client could make something of it: a URL of its socket or host."""
    found = _ENGINE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} does not say where a Docker Engine listens")
    if place := found[4] or found[6]:
        split_address(place, 2375)


def _is_ipv6(text: str) -> bool:
    if not _IPV6.fullmatch(text):
        return False
    import ipaddress  # as above

    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
