#!lua flags=allow-oom
-- Puts calls that were held back for a function's limit at the head of their queue again, because it has none there any
-- more.
--
-- prelude: queueing, held
-- keys: DEFERRED, HELD_CALLS, JOB
-- arguments: fn, queue, limit
-- meaning: limit: how many to look at
-- reply: how many were looked at

local name = fn .. ':' .. queue
local looked_at = 0
while looked_at < tonumber(limit) do
  local id = redis.call('RPOP', HELD_CALLS .. name) -- the last one first: so they keep their order
  if not id then break end
  looked_at = looked_at + 1
  redis.call('ZREM', DEFERRED .. queue, id)
  -- Deleted or cancelled through RQ, it is not made again.
  if redis.pcall('HGET', JOB .. id, 'status') == 'deferred' then
    enqueue(queue, id, true)
    redis.call('HSET', JOB .. id, 'status', 'queued')
  end
end
forget_empty(fn, queue)
wake()
return looked_at
