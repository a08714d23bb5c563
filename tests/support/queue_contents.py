"""All that a queue's Redis holds, read in one step and told apart by what it means."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import redis

_READ_ALL = """
local words = {list = {'LRANGE', 0, -1}, set = {'SMEMBERS'}, zset = {'ZRANGE', 0, -1, 'WITHSCORES'}, hash = {'HGETALL'},
  string = {'GETRANGE', 0, 99}, stream = {'XLEN'}}
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  local word = words[kind]
  found[#found + 1] = {key, kind, redis.call(word[1], key, unpack(word, 2)), redis.call('TTL', key) >= 0 and 1 or 0}
end
return found
"""

_PLACES = re.compile(r"rq:(queue|scheduled|wip|finished|failed|canceled|deferred):")
_BELONGS_TO_A_JOB = re.compile(r"rq:(job|results):|swarmfn:(body|response):")
_COMPARED = ("status", "state", "origin", "execution", "callback", "delivery")
_COUNTED = ("failures", "interruptions")
_THERE = ("body", "large", "answer", "large_answer", "attempts", "expires")


@dataclass(frozen=True)
class Contents:
    """keys: every key with its members, sorted sets without their scores, jobs as far as they matter here; scores: by
    key and member; ends: when each job is not worth running any more, by its id; running: of limited functions' calls,
    which may name some that have ended; expiring: jobs and bodies that will go away."""

    keys: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    ends: dict[str, float] = field(default_factory=dict)
    running: dict[str, set[str]] = field(default_factory=dict)
    expiring: set[str] = field(default_factory=set)

    def places(self) -> dict[str, list[str]]:
        """Where each job is, by its id."""
        places: dict[str, list[str]] = defaultdict(list)
        for key, members in self.keys.items():
            if _PLACES.match(key) or key == "swarmfn:alone" or key.startswith("swarmfn:held:"):
                for member in members:
                    places[member.partition(":")[0]].append(key)
        return places


def read_contents(client: redis.Redis) -> Contents:
    untyped: Any = client
    contents = Contents()
    for key, kind, value, expires in untyped.eval(_READ_ALL, 0):
        name = key.decode()
        if expires and _BELONGS_TO_A_JOB.match(name):
            contents.expiring.add(name)
        if kind == b"zset":
            scores = dict(zip(_texts(value[::2]), map(float, value[1::2]), strict=True))
            contents.scores[name], contents.keys[name] = scores, set(scores)
        elif name.startswith("swarmfn:running:"):
            contents.running[name.removeprefix("swarmfn:running:")] = set(_texts(value))
        else:
            contents.keys[name] = _read(name, kind, value)
        if name.startswith("rq:job:") and b"expires" in value[::2]:
            contents.ends[name.removeprefix("rq:job:")] = float(value[value.index(b"expires") + 1])
    return contents


def _read(name: str, kind: bytes, value: Any) -> Any:
    if kind == b"hash":
        fields = dict(zip(_texts(value[::2]), _texts(value[1::2]), strict=True))
        return compared(fields) if name.startswith("rq:job:") else fields
    if kind == b"list":
        return _texts(value)
    return set(_texts(value)) if kind == b"set" else value


def compared(fields: dict[str, Any]) -> dict[str, Any]:
    """What is compared of a job's hash."""
    job: dict[str, Any] = {name: fields.get(name) or "" for name in _COMPARED}
    job |= {name: int(fields.get(name) or 0) for name in _COUNTED}
    return job | {name: bool(fields.get(name)) for name in _THERE}


def _texts(values: list[bytes]) -> list[str]:
    return [value.decode("utf-8", "replace") for value in values]
