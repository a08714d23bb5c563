"""What a Redis has to be and do so that nothing that was accepted gets lost in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import redis
from redis.exceptions import ResponseError

OLDEST = (7, 0)
"""LMPOP, listpacks and the other things the queue relies on are complete from here; older ones were never tested."""

SHORTCOMINGS = ("too_old", "evicting", "not_persistent", "cannot_save", "read_only")
"""Names of what can be wrong."""


class ServerTooOld(Exception):
    """The program must not use this Redis."""


def require_supported(client: redis.Redis) -> None:
    """Raises ServerTooOld, or the client's errors."""
    untyped: Any = client
    try:
        info = untyped.info()
    except ResponseError:  # not everybody may ask everything
        return
    problem = shortcomings(info).get("too_old")
    if problem:
        raise ServerTooOld(problem)


def shortcomings(info: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with a Redis that answers INFO so: a sentence for each of SHORTCOMINGS that it has. What INFO does
    not tell is taken to be as it should be."""
    found = {
        "too_old": _too_old(info),
        "evicting": _evicting(str(info.get("maxmemory_policy", "noeviction"))),
        "not_persistent": _not_persistent(info),
        "cannot_save": _cannot_save(info),
        "read_only": _read_only(info),
    }
    return {name: sentence for name, sentence in found.items() if sentence}


def _too_old(info: Mapping[str, Any]) -> str:
    # Valkey says there which Redis it began as, 7.2.4.
    version = str(info.get("redis_version", ""))
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) >= OLDEST:
        return ""
    return f"this Redis is too old: it is {version}, and the queue needs {OLDEST[0]}.{OLDEST[1]} or newer"


def _evicting(policy: str) -> str:
    if policy == "noeviction":
        return ""
    return f"Redis may drop calls that were accepted: its maxmemory-policy is {policy}, and has to be noeviction"


def _not_persistent(info: Mapping[str, Any]) -> str:
    if int(info.get("aof_enabled", 1)):
        return ""
    return "calls that were accepted are lost when Redis ends: its append-only file is off (appendonly yes)"


def _cannot_save(info: Mapping[str, Any]) -> str:
    append = str(info.get("aof_last_write_status", "ok"))
    snapshot = str(info.get("rdb_last_bgsave_status", "ok"))
    if append == snapshot == "ok":
        return ""
    return "Redis cannot write to its disk, and may take no calls until it can: see its log, and how full the disk is"


def _read_only(info: Mapping[str, Any]) -> str:
    if info.get("role") != "slave":
        return ""
    host = info.get("master_host", "another one")
    return f"this Redis is a replica of {host}, and takes no calls: faas_redis_address has to name the primary"
