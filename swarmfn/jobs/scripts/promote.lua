#!lua flags=allow-oom
-- Queues what has come due.
--
-- prelude: now, queueing
-- keys: DUE, JOB, SCHEDULED, STOP
-- arguments: moment, limit, worker
-- meaning: moment: now in RQ's form; limit: how many to look at; worker: whose claims are asked about
-- reply: how many were looked at, Redis's clock, seconds until the next is due ('': none), and the entries of the
--   worker's claims that were cancelled recently

local members = redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, limit)
local function promote(member)
  local id, queue = string.match(member, '^([^:]*):(.*)$')
  if id and redis.call('ZSCORE', SCHEDULED .. queue, id) then
    local key = JOB .. id
    -- Deleted or cancelled through RQ, it is not made again.
    if redis.pcall('HGET', key, 'status') == 'scheduled' then
      enqueue(queue, id) -- first of the writes, because it fails where the queue's key is not a list
      redis.call('HSET', key, 'status', 'queued', 'enqueued_at', moment)
    end
    redis.call('ZREM', SCHEDULED .. queue, id)
  end
  redis.call('ZREM', DUE, member)
end
for _, member in ipairs(members) do
  -- Out of the way of the others, and not lost.
  if not pcall(promote, member) then redis.call('ZADD', DUE, now + 10, member) end
end
wake()
local first = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
return {#members, tostring(now), first[2] and tostring(first[2] - now) or '',
  redis.call('SMEMBERS', STOP .. worker)}
