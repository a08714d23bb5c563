"""Hosts and ports as text: the one way to read and to write them, for every setting and every program."""

from __future__ import annotations

import re
import socket

# A health check imports this every few seconds: nothing expensive is imported before it is needed.
_NAME = re.compile(r"\w([\w.-]*[\w.])?")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[\w.-]+)?")
_ENGINE_PORT = 2375
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


def join_address(host: str, port: int) -> str:
    """`host:port`, with an IPv6 address in brackets: what `split_address` takes apart."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def as_url(address: str) -> str:
    """`http://` and the address, unless it is a URL already."""
    return address if "://" in address else f"http://{address}"


def family_of(host: str) -> socket.AddressFamily:
    """How to listen at an IP address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def is_ip_address(host: str) -> bool:
    """Whether this is an IPv4 or IPv6 address (without brackets), and no name."""
    import ipaddress  # as above

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def parse_engine_address(text: str) -> str:
    """The host where a Docker Engine listens, "" for a socket of this machine. Raises ValueError unless a Docker client
    could make something of `text`: a URL of a socket or host."""
    found = _ENGINE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} does not say where a Docker Engine listens")
    place = found[4] or found[6]
    return split_address(place, _ENGINE_PORT)[0] if place else ""


def _is_ipv6(text: str) -> bool:
    return _IPV6.fullmatch(text) is not None and is_ip_address(text)
