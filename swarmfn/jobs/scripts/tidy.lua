#!lua flags=allow-oom
-- Cleans up as RQ's own workers do: takes expired entries out of the registries, forgets queues that hold nothing,
-- and drops bodies and dead letters without a job, and workers without an entry.
--
-- prelude: now
-- keys: BODIES, BODY, CANCELED, DEAD_LETTERS, DEAD_LETTERS_OF, DEFERRED, FAILED, FINISHED, JOB, QUEUE, QUEUES,
--   RQ_QUEUES, SCHEDULED, WIP, WORKERS, WORKERS_OF
-- constants: CALLBACKS
-- arguments: limit
-- list: queues
-- meaning: limit: how many large bodies, cancelled calls of a queue, and dead letters of a kind to look at
-- reply: 1 when there is more to do at once, else 0

local registries = {WIP, FINISHED, FAILED, SCHEDULED, DEFERRED, CANCELED}
-- A worker whose machine has gone took itself out of no list; its entry expires.
local function drop_dead(workers)
  for _, worker in ipairs(redis.call('SMEMBERS', workers)) do
    if redis.call('EXISTS', worker) == 0 then redis.call('SREM', workers, worker) end
  end
end
local function tidy(queue)
  drop_dead(WORKERS_OF .. queue)
  redis.call('ZREMRANGEBYSCORE', FINISHED .. queue, 0, now)
  redis.call('ZREMRANGEBYSCORE', FAILED .. queue, 0, now)
  -- What was cancelled through RQ does not expire, and its score is when that was: only what has no job any more goes.
  for _, id in ipairs(redis.call('ZRANDMEMBER', CANCELED .. queue, limit)) do
    if redis.call('EXISTS', JOB .. id) == 0 then redis.call('ZREM', CANCELED .. queue, id) end
  end
  if redis.call('EXISTS', QUEUE .. queue) == 1 then return end
  for _, registry in ipairs(registries) do
    if redis.call('EXISTS', registry .. queue) == 1 then return end
  end
  redis.call('SREM', RQ_QUEUES, QUEUE .. queue)
  redis.call('SREM', QUEUES, queue)
end
for _, queue in ipairs(queues) do pcall(tidy, queue) end
pcall(drop_dead, WORKERS)
pcall(drop_dead, WORKERS_OF .. CALLBACKS)
-- A job deleted through RQ leaves its large body behind. A sample each time finds all of them in the end.
for _, id in ipairs(redis.call('SRANDMEMBER', BODIES, limit)) do
  if redis.call('EXISTS', JOB .. id) == 0 then
    redis.call('DEL', BODY .. id)
    redis.call('SREM', BODIES, id)
  end
end
-- The records of dead letters expire, the oldest first as a rule.
local more = 0
for _, kind in ipairs(redis.call('SMEMBERS', DEAD_LETTERS)) do
  local key = DEAD_LETTERS_OF .. kind
  local ids = redis.call('ZRANGE', key, 0, limit - 1)
  local gone = 0
  for _, id in ipairs(ids) do
    if redis.call('EXISTS', JOB .. id) == 0 then gone = gone + redis.call('ZREM', key, id) end
  end
  if gone == tonumber(limit) then more = 1 end
  if redis.call('EXISTS', key) == 0 then redis.call('SREM', DEAD_LETTERS, kind) end
end
return more
