"""The configuration file of the embedded Redis."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def redis_config(shared: str, environment: Mapping[str, str], directory: Path, port: int) -> str:
    """The text of redis.conf without the password: the settings shared with every engine, then this machine's."""
    own = {
        **environment,
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": quoted(str(directory)),
        "daemonize": "no",
    }
    return shared + "".join(f"{name} {value}\n" for name, value in own.items())


def with_password(config: str, password: str) -> str:
    """The same with it. It belongs in this file (mode 0600), never on a command line, which every user of the machine
    can read."""
    return f"{config}requirepass {quoted(password)}\n"


def quoted(text: str) -> str:
    """`text` as Redis reads it back, with any character in it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
