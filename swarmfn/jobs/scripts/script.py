"""A script, and the Lua that several of them share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Script:
    """One Lua script, called by its SHA-1."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())


EVEN_WHEN_FULL = "#!lua flags=allow-oom\n"
"""How scripts begin that must run in a Redis whose memory is full: they end calls, which is what frees memory, and
keep leases, without which calls would run twice."""

NOW = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6
"""

EACH = """
local replies = {}
local function each(first, width, handle)
  for i = first, #ARGV, width do
    local fine, reply = pcall(handle, i)
    if not fine and type(reply) == 'table' then reply = reply.err end
    replies[#replies + 1] = reply
  end
end
"""

TALLY = """
local tally = {}
local function count(counter) tally[counter] = (tally[counter] or 0) + 1 end
local function write_tally()
  for counter, number in pairs(tally) do redis.pcall('HINCRBY', 'swarmfn:totals', counter, number) end
end
local function function_of(call)
  local readable, document = pcall(cjson.decode, call or '')
  if readable and type(document) == 'table' and type(document.fn) == 'string' and not document.to then
    return document.fn
  end
end
"""

LETTERS = """
-- What ended otherwise than well, by how, function and queue: what is listed, run again and purged from outside.
local function keep_letter(letter, id, at)
  redis.call('ZADD', 'swarmfn:letters:' .. letter, at, id)
  redis.call('SADD', 'swarmfn:letters', letter)
end
local function drop_letter(letter, id)
  if letter then redis.call('ZREM', 'swarmfn:letters:' .. letter, id) end
end
local function letter_of(state, call, queue)
  local readable, document = pcall(cjson.decode, call or '')
  if not readable or type(document) ~= 'table' or type(document.fn) ~= 'string' then return 'foreign::' .. queue end
  if document.to then return 'undelivered:' .. document.fn end
  return state .. ':' .. document.fn .. ':' .. queue
end
"""

QUEUEING = """
local known, woken = {}, {}
local function know(queue)
  if known[queue] then return end
  known[queue] = true
  redis.call('SADD', 'rq:queues', 'rq:queue:' .. queue)
  redis.call('SADD', 'swarmfn:queues', queue)
end
local function enqueue(queue, id, front)
  local length = redis.call(front and 'LPUSH' or 'RPUSH', 'rq:queue:' .. queue, id)
  know(queue)
  -- Workers remember a queue until they have seen it empty, so only the first job of an empty one is news.
  if length == 1 then woken[queue] = true end
end
local function wake()
  for queue in pairs(woken) do redis.call('PUBLISH', 'swarmfn:wake', queue) end
end
"""

RELEASE = """
-- An entry in swarmfn:leases and swarmfn:claims:WORKER is id:execution:queue; RQ's registry has id:execution.
-- They are taken out all together at the end: write_releases() must follow.
local gone = {}
local function forget(key, entry)
  local entries = gone[key]
  if not entries then
    entries = {}
    gone[key] = entries
  end
  entries[#entries + 1] = entry
end
local function release(id, execution, queue, worker)
  local entry = id .. ':' .. execution
  forget('rq:wip:' .. queue, entry)
  entry = entry .. ':' .. queue
  forget('swarmfn:leases', entry)
  forget('swarmfn:claims:' .. worker, entry)
end
local function write_releases()
  for key, entries in pairs(gone) do
    local remove = string.sub(key, 1, 15) == 'swarmfn:claims:' and 'SREM' or 'ZREM'
    for first = 1, #entries, 1000 do
      redis.pcall(remove, key, unpack(entries, first, math.min(first + 999, #entries)))
    end
  end
end
-- Whether the claim is still good, and whether its body is a large one.
local function still_holds(id, execution, queue, worker)
  local key = 'rq:job:' .. id
  local job = redis.call('HMGET', key, 'execution', 'status', 'large')
  if job[1] == execution and job[2] ~= 'canceled' then return true, job[3] end
  -- Another worker has taken over, the job is gone, or it was cancelled through RQ: leave nothing of this claim.
  release(id, execution, queue, worker)
  if job[1] == execution then
    local fn = function_of(redis.call('HGET', key, 'call'))
    redis.call('HDEL', key, 'execution')
    if fn then count('cancelled:' .. fn .. ':' .. queue) end
  end
  return false
end
"""
