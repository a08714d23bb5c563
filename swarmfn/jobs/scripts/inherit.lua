#!lua flags=allow-oom
-- Gives what has ended on a queue of deliveries that an earlier version made, one for each receiver, to the queue that
-- is there for it now. What still waits or runs there ends there first.
--
-- keys: FAILED, FINISHED, JOB, QUEUE, QUEUES, RQ_QUEUES
-- arguments: earlier, present, limit
-- meaning: earlier: a queue; present: the one in its place; limit: how many of each registry to look at
-- reply: how many were given away

local moved = 0
for _, registry in ipairs({FAILED, FINISHED}) do
  local ended = redis.call('ZRANGE', registry .. earlier, 0, limit - 1, 'WITHSCORES')
  for i = 1, #ended, 2 do
    local key = JOB .. ended[i]
    if redis.call('EXISTS', key) == 1 then
      redis.call('ZADD', registry .. present, ended[i+1], ended[i])
      redis.pcall('HSET', key, 'origin', present)
    end
    redis.call('ZREM', registry .. earlier, ended[i])
    moved = moved + 1
  end
end
if moved > 0 then
  redis.call('SADD', RQ_QUEUES, QUEUE .. present)
  redis.call('SADD', QUEUES, present)
end
return moved
