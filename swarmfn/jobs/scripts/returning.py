"""How jobs come back to their queues, and how workers keep them from coming back."""

from __future__ import annotations

from swarmfn.jobs.scripts.script import EVEN_WHEN_FULL, NOW, QUEUEING, RELEASE, TALLY, Script

PROMOTE = Script(
    EVEN_WHEN_FULL
    + NOW
    + QUEUEING
    + """
-- Shared: now, limit, worker.
local members = redis.call('ZRANGEBYSCORE', 'swarmfn:due', '-inf', now, 'LIMIT', 0, ARGV[2])
local function promote(member)
  local id, queue = string.match(member, '^([^:]*):(.*)$')
  if id and redis.call('ZSCORE', 'rq:scheduled:' .. queue, id) then
    local key = 'rq:job:' .. id
    -- Deleted or cancelled through RQ, it is not made again.
    if redis.pcall('HGET', key, 'status') == 'scheduled' then
      enqueue(queue, id) -- first of the writes, because it fails where the queue's key is no list
      redis.call('HSET', key, 'status', 'queued', 'enqueued_at', ARGV[1])
    end
    redis.call('ZREM', 'rq:scheduled:' .. queue, id)
  end
  redis.call('ZREM', 'swarmfn:due', member)
end
for _, member in ipairs(members) do
  -- Out of the way of the others, and not lost.
  if not pcall(promote, member) then redis.call('ZADD', 'swarmfn:due', now + 10, member) end
end
wake()
local first = redis.call('ZRANGE', 'swarmfn:due', 0, 0, 'WITHSCORES')
return {#members, tostring(now), first[2] and tostring(first[2] - now) or '',
  redis.call('SMEMBERS', 'swarmfn:stop:' .. ARGV[3])}
"""
)
"""Queues what has come due. → how many were looked at, Redis's clock, seconds until the next is due ('': none), and the
entries of the worker's claims that were cancelled lately."""

RENEW = Script(
    EVEN_WHEN_FULL
    + NOW
    + """
-- Shared: worker, lease seconds. Items: entry.
local function renew(entry)
  -- Cancelled through RQ, which knows nothing of leases: this one may lapse.
  if redis.pcall('HGET', 'rq:job:' .. string.match(entry, '^[^:]*'), 'status') == 'canceled' then return false end
  return redis.call('ZADD', 'swarmfn:leases', 'XX', 'CH', now + ARGV[2], entry) == 1
    or redis.call('ZSCORE', 'swarmfn:leases', entry)
end
local lost = {}
for i = 3, #ARGV do
  if not renew(ARGV[i]) then lost[#lost + 1] = ARGV[i] end
end
redis.call('EXPIRE', 'swarmfn:claims:' .. ARGV[1], 86400)
return lost
"""
)
"""Prolongs the leases that are still there; one that was handed back is not made again. → the entries whose runs are
to stop: those, and the cancelled ones."""

_PUT_BACK = """
local function put_back(entry, current, has_died)
  local id, execution, queue = string.match(entry, '^([^:]*):([^:]*):(.*)$')
  if not id then return 0 end
  local key = 'rq:job:' .. id
  local worker = redis.call('HGET', key, 'worker_name') or ''
  if not still_holds(id, execution, queue, worker) then return 0 end
  enqueue(queue, id, true) -- first of the writes, because it fails where the queue's key is no list
  release(id, execution, queue, worker)
  redis.call('HDEL', key, 'execution')
  redis.call('HSET', key, 'status', 'queued', 'enqueued_at', current)
  redis.pcall('HINCRBY', key, 'interruptions', 1)
  -- A job that brings its worker down each time must come to an end.
  if has_died then redis.pcall('HINCRBY', key, 'failures', 1) end
  return 1
end
-- → how many, and the entries that are done with; the others cannot be queued now.
local function put_all_back(entries, current, has_died)
  local returned, done = 0, {}
  for n = #entries, 1, -1 do
    local fine, number = pcall(put_back, entries[n], current, has_died)
    if fine then
      returned = returned + number
      done[#done + 1] = entries[n]
    end
  end
  return returned, done
end
"""

HAND_BACK = Script(
    EVEN_WHEN_FULL
    + TALLY
    + QUEUEING
    + RELEASE
    + _PUT_BACK
    + """
-- Shared: worker, now. Items: entries; none means everything the worker has claimed, because it has died.
local claims = 'swarmfn:claims:' .. ARGV[1]
local entries = {}
for i = 3, #ARGV do entries[#entries + 1] = ARGV[i] end
local has_died = #ARGV == 2
if has_died then entries = redis.call('SMEMBERS', claims) end
local returned, done = put_all_back(entries, ARGV[2], has_died)
write_releases()
-- The lease of what is left lapses.
for _, entry in ipairs(done) do
  redis.call('SREM', claims, entry)
  redis.call('ZREM', 'swarmfn:leases', entry)
end
write_tally()
wake()
return returned
"""
)
"""Puts claims of one worker back at the head of their queues. → how many."""

REAP = Script(
    EVEN_WHEN_FULL
    + NOW
    + TALLY
    + QUEUEING
    + RELEASE
    + _PUT_BACK
    + """
-- Shared: now, limit, the longest lease anybody can have asked for.
-- A lease beyond that was made before Redis's clock was set back.
local beyond = '(' .. (now + ARGV[3])
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', 'swarmfn:leases', beyond, '+inf', 'LIMIT', 0, ARGV[2])) do
  redis.call('ZADD', 'swarmfn:leases', now + ARGV[3], entry)
end
local entries = redis.call('ZRANGEBYSCORE', 'swarmfn:leases', '-inf', now, 'LIMIT', 0, ARGV[2])
-- Those that cannot be queued get out of the way of the others.
for _, entry in ipairs(entries) do redis.call('ZADD', 'swarmfn:leases', now + 10, entry) end
local returned, done = put_all_back(entries, ARGV[1], true)
write_releases()
for _, entry in ipairs(done) do redis.call('ZREM', 'swarmfn:leases', entry) end
write_tally()
wake()
return returned
"""
)
"""Puts back what workers claimed and neither finished nor renewed in time. → how many."""
