"""The atomic steps of a job's life, each one Lua script that handles a whole batch in one round trip.

A script's arguments are flat: first what all items share, then N values for each item. None of them unpacks a table
of unknown size, so a batch's length is bounded by memory only. Times come from Redis's own clock, so that the clocks
of several nodes need not agree.
"""

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


_NOW = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6
"""

_QUEUEING = """
local woken = {}
local function enqueue(queue, id, front)
  redis.call(front and 'LPUSH' or 'RPUSH', 'rq:queue:' .. queue, id)
  redis.call('SADD', 'rq:queues', 'rq:queue:' .. queue)
  woken[queue] = true
end
local function wake()
  for queue in pairs(woken) do redis.call('PUBLISH', 'swarmfn:wake', queue) end
end
"""

SUBMIT = Script(
    _QUEUEING
    + """
-- Shared: data, now. Items: id, queue, function, call, body, large, timeout.
local replies = {}
for i = 3, #ARGV, 7 do
  local id, queue, fn, call = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local key = 'rq:job:' .. id
  if redis.call('EXISTS', key) == 1 then
    -- The very same call, sent again because its first reply was lost, is stored already; any other is refused.
    replies[#replies + 1] = redis.call('HGET', key, 'call') == call and 1 or 0
  else
    redis.call('HSET', key, 'data', ARGV[1], 'created_at', ARGV[2], 'enqueued_at', ARGV[2], 'origin', queue,
      'description', 'invoke ' .. fn, 'status', 'queued', 'timeout', ARGV[i + 6], 'call', call)
    if ARGV[i + 5] ~= '' then
      redis.call('HSET', key, 'large', ARGV[i + 5])
      redis.call('PERSIST', 'swarmfn:body:' .. id)
    elseif ARGV[i + 4] ~= '' then
      redis.call('HSET', key, 'body', ARGV[i + 4])
    end
    enqueue(queue, id)
    redis.call('HINCRBY', 'swarmfn:totals', 'accepted:' .. fn, 1)
    replies[#replies + 1] = 1
  end
end
wake()
return replies
"""
)
"""→ 1 for each item stored, 0 for one whose id is taken."""

CLAIM = Script(
    _NOW
    + """
-- Shared: worker, execution prefix, lease seconds, now. Items: queue, how many.
local claims = {}
if redis.call('EXISTS', 'rq:suspended') == 1 then return claims end
for i = 5, #ARGV, 2 do
  local queue = ARGV[i]
  for _, id in ipairs(redis.call('LPOP', 'rq:queue:' .. queue, ARGV[i + 1]) or {}) do
    local key = 'rq:job:' .. id
    local job = redis.call('HMGET', key, 'status', 'state', 'data', 'call', 'body', 'large', 'failures', 'attempts')
    -- A job that was deleted, or cancelled through RQ, leaves its id in the list for a while.
    if job[1] and job[1] ~= 'canceled' then
      if job[2] then
        -- Final before, queued again by hand (rq-dashboard, rq requeue): its attempts begin anew.
        redis.call('HDEL', key, 'state', 'failures', 'attempts', 'interruptions', 'response', 'answer', 'callback')
        local readable, call = pcall(cjson.decode, job[4] or '')
        if readable and type(call) == 'table' and call.fn and not call.to then
          redis.call('HINCRBY', 'swarmfn:totals', 'redriven:' .. call.fn, 1)
        end
        job[7], job[8] = false, false
      end
      local execution = ARGV[2] .. (#claims + 1)
      local entry = id .. ':' .. execution
      redis.call('HSET', key, 'status', 'started', 'started_at', ARGV[4], 'last_heartbeat', ARGV[4],
        'worker_name', ARGV[1], 'execution', execution)
      redis.call('PERSIST', key)
      redis.call('PERSIST', 'swarmfn:body:' .. id)
      -- RQ's own cleanup would FAIL entries whose score has passed; the true lease is in swarmfn:leases.
      redis.call('ZADD', 'rq:wip:' .. queue, '+inf', entry)
      redis.call('ZADD', 'swarmfn:leases', now + ARGV[3], entry)
      redis.call('SADD', 'swarmfn:claims:' .. ARGV[1], entry)
      claims[#claims + 1] = {id, execution, queue, job[3] or '', job[4] or '', job[5] or '', job[6] or '',
        job[7] or '0', job[8] or ''}
    end
  end
end
return claims
"""
)
"""→ for each claim: id, execution, queue, data, call, body, large, failures, attempts."""

_RELEASE = """
local function release(id, execution, queue, worker)
  local entry = id .. ':' .. execution
  redis.call('HDEL', 'rq:job:' .. id, 'execution')
  redis.call('ZREM', 'rq:wip:' .. queue, entry)
  redis.call('ZREM', 'swarmfn:leases', entry)
  redis.call('SREM', 'swarmfn:claims:' .. worker, entry)
end
"""

FINISH = Script(
    _NOW
    + _QUEUEING
    + _RELEASE
    + """
-- Shared: worker, now, data. Items (21): id, execution, queue, counter, state, ttl, response, answer, large answer,
-- result type, return value, exc string, attempts, started at; a delivery to queue: id, call, body, large, timeout;
-- the call whose callback this was, and what to note there. `counter` is a field of swarmfn:totals (succeeded:echo).
local replies = {}
for i = 4, #ARGV, 21 do
  local id, execution, queue, state, ttl = ARGV[i], ARGV[i+1], ARGV[i+2], ARGV[i+4], ARGV[i+5]
  local key = 'rq:job:' .. id
  if redis.call('HGET', key, 'execution') ~= execution then
    -- Another worker has taken over (the lease lapsed), or the job is gone: its result counts, not this one.
    replies[#replies + 1] = 0
  else
    release(id, execution, queue, ARGV[1])
    local succeeded = state == 'succeeded'
    redis.call('HSET', key, 'status', succeeded and 'finished' or 'failed', 'state', state, 'ended_at', ARGV[2],
      'response', ARGV[i+6], 'attempts', ARGV[i+12])
    if ARGV[i+7] ~= '' then redis.call('HSET', key, 'answer', ARGV[i+7]) end
    if ARGV[i+8] ~= '' then redis.call('HSET', key, 'large_answer', ARGV[i+8]) end
    if succeeded then
      redis.call('HDEL', key, 'body', 'large')
      redis.call('DEL', 'swarmfn:body:' .. id)
    else
      -- Kept, so that a failed invocation can be run again.
      redis.call('EXPIRE', 'swarmfn:body:' .. id, ttl)
    end
    local results = 'rq:results:' .. id
    if ARGV[i+11] ~= '' then
      redis.call('XADD', results, 'MAXLEN', 10, '*', 'type', ARGV[i+9], 'worker_name', ARGV[1], 'exc_string',
        ARGV[i+11], 'execution_id', execution, 'execution_started_at', ARGV[i+13], 'execution_ended_at', now)
    else
      redis.call('XADD', results, 'MAXLEN', 10, '*', 'type', ARGV[i+9], 'worker_name', ARGV[1], 'return_value',
        ARGV[i+10], 'execution_id', execution, 'execution_started_at', ARGV[i+13], 'execution_ended_at', now)
    end
    redis.call('EXPIRE', results, ttl)
    redis.call('EXPIRE', key, ttl)
    redis.call('ZADD', (succeeded and 'rq:finished:' or 'rq:failed:') .. queue, now + ttl, id)
    redis.call('HINCRBY', 'swarmfn:totals', ARGV[i+3], 1)
    local delivery = ARGV[i+14]
    if delivery ~= '' then
      local delivery_key = 'rq:job:' .. delivery
      redis.call('HSET', key, 'delivery', delivery, 'callback', 'queued')
      redis.call('HSET', delivery_key, 'data', ARGV[3], 'created_at', ARGV[2], 'enqueued_at', ARGV[2], 'origin',
        'callbacks', 'description', 'callback of ' .. id, 'status', 'queued', 'timeout', ARGV[i+18], 'call', ARGV[i+15])
      if ARGV[i+17] ~= '' then
        redis.call('HSET', delivery_key, 'large', ARGV[i+17])
        redis.call('PERSIST', 'swarmfn:body:' .. delivery)
      elseif ARGV[i+16] ~= '' then
        redis.call('HSET', delivery_key, 'body', ARGV[i+16])
      end
      enqueue('callbacks', delivery)
    end
    if ARGV[i+19] ~= '' and redis.call('EXISTS', 'rq:job:' .. ARGV[i+19]) == 1 then
      redis.call('HSET', 'rq:job:' .. ARGV[i+19], 'callback', ARGV[i+20])
    end
    replies[#replies + 1] = 1
  end
end
wake()
return replies
"""
)
"""→ 1 for each item recorded, 0 for one that this execution no longer owns."""

RETRY_LATER = Script(
    _NOW
    + _RELEASE
    + """
-- Shared: worker. Items: id, execution, queue, delay seconds, failures, attempts, parent id, callback state.
local replies = {}
for i = 2, #ARGV, 8 do
  local id, execution, queue = ARGV[i], ARGV[i+1], ARGV[i+2]
  local key = 'rq:job:' .. id
  if redis.call('HGET', key, 'execution') ~= execution then
    replies[#replies + 1] = 0
  else
    release(id, execution, queue, ARGV[1])
    redis.call('HSET', key, 'status', 'scheduled', 'failures', ARGV[i+4], 'attempts', ARGV[i+5])
    local due = now + ARGV[i+3]
    redis.call('ZADD', 'rq:scheduled:' .. queue, due, id)
    redis.call('ZADD', 'swarmfn:due', due, queue .. ':' .. id)
    if ARGV[i+6] ~= '' and redis.call('EXISTS', 'rq:job:' .. ARGV[i+6]) == 1 then
      redis.call('HSET', 'rq:job:' .. ARGV[i+6], 'callback', ARGV[i+7])
    end
    replies[#replies + 1] = 1
  end
end
return replies
"""
)
"""→ 1 for each item scheduled, 0 for one that this execution no longer owns."""

PROMOTE = Script(
    _NOW
    + _QUEUEING
    + """
-- Shared: now, limit.
local members = redis.call('ZRANGEBYSCORE', 'swarmfn:due', '-inf', now, 'LIMIT', 0, ARGV[2])
for _, member in ipairs(members) do
  redis.call('ZREM', 'swarmfn:due', member)
  local queue, id = string.match(member, '^([^:]*):(.*)$')
  if redis.call('ZREM', 'rq:scheduled:' .. queue, id) == 1 then
    redis.call('HSET', 'rq:job:' .. id, 'status', 'queued', 'enqueued_at', ARGV[1])
    enqueue(queue, id)
  end
end
wake()
return #members
"""
)
"""Queues what has come due. → how many were looked at."""

RENEW = Script(
    _NOW
    + """
-- Shared: lease seconds. Items: entry (id:execution).
for i = 2, #ARGV do redis.call('ZADD', 'swarmfn:leases', 'XX', now + ARGV[1], ARGV[i]) end
return 0
"""
)
"""Prolongs the leases that are still there; one that was handed back is not made again."""

_PUT_BACK = """
local function put_back(entry, current)
  local id, execution = string.match(entry, '^([^:]*):(.*)$')
  local key = 'rq:job:' .. id
  local job = redis.call('HMGET', key, 'execution', 'origin', 'worker_name')
  if job[1] ~= execution or not job[2] then return 0 end
  release(id, execution, job[2], job[3] or '')
  redis.call('HSET', key, 'status', 'queued', 'enqueued_at', current)
  redis.call('HINCRBY', key, 'interruptions', 1)
  enqueue(job[2], id, true)
  return 1
end
"""

HAND_BACK = Script(
    _QUEUEING
    + _RELEASE
    + _PUT_BACK
    + """
-- Shared: worker, now. Items: entries; none means everything the worker has claimed.
local entries = {}
for i = 3, #ARGV do entries[#entries + 1] = ARGV[i] end
if #ARGV == 2 then entries = redis.call('SMEMBERS', 'swarmfn:claims:' .. ARGV[1]) end
local returned = 0
for _, entry in ipairs(entries) do
  returned = returned + put_back(entry, ARGV[2])
  redis.call('SREM', 'swarmfn:claims:' .. ARGV[1], entry)
end
wake()
return returned
"""
)
"""Puts claims of one worker back at the head of their queues. → how many."""

REAP = Script(
    _NOW
    + _QUEUEING
    + _RELEASE
    + _PUT_BACK
    + """
-- Shared: now, limit.
local returned = 0
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', 'swarmfn:leases', '-inf', now, 'LIMIT', 0, ARGV[2])) do
  returned = returned + put_back(entry, ARGV[1])
  redis.call('ZREM', 'swarmfn:leases', entry)
end
wake()
return returned
"""
)
"""Puts back what workers claimed and neither finished nor renewed in time. → how many."""
