#!lua flags=allow-oom
-- Cleans up as RQ's own workers do: takes expired entries out of the registries, forgets queues that hold nothing,
-- and drops bodies and letters without a job, and workers without an entry.
--
-- prelude: now
-- keys: rq:canceled:, rq:deferred:, rq:failed:, rq:finished:, rq:job:, rq:queue:, rq:queues, rq:scheduled:, rq:wip:,
--   rq:workers, rq:workers:, rq:workers:callbacks, swarmfn:bodies, swarmfn:body:, swarmfn:letters, swarmfn:letters:,
--   swarmfn:queues
-- arguments: limit
-- list: queues
-- meaning: limit: how many large bodies, cancelled calls of a queue, and letters of a kind to look at
-- reply: 1 when there is more to do at once, else 0

local registries = {'rq:wip:', 'rq:finished:', 'rq:failed:', 'rq:scheduled:', 'rq:deferred:', 'rq:canceled:'}
-- A worker whose machine has gone took itself out of no list; its entry expires.
local function drop_dead(workers)
  for _, worker in ipairs(redis.call('SMEMBERS', workers)) do
    if redis.call('EXISTS', worker) == 0 then redis.call('SREM', workers, worker) end
  end
end
local function tidy(queue)
  drop_dead('rq:workers:' .. queue)
  redis.call('ZREMRANGEBYSCORE', 'rq:finished:' .. queue, 0, now)
  redis.call('ZREMRANGEBYSCORE', 'rq:failed:' .. queue, 0, now)
  -- What was cancelled through RQ does not expire, and its score is when that was: only what has no job any more goes.
  for _, id in ipairs(redis.call('ZRANDMEMBER', 'rq:canceled:' .. queue, limit)) do
    if redis.call('EXISTS', 'rq:job:' .. id) == 0 then redis.call('ZREM', 'rq:canceled:' .. queue, id) end
  end
  if redis.call('EXISTS', 'rq:queue:' .. queue) == 1 then return end
  for _, registry in ipairs(registries) do
    if redis.call('EXISTS', registry .. queue) == 1 then return end
  end
  redis.call('SREM', 'rq:queues', 'rq:queue:' .. queue)
  redis.call('SREM', 'swarmfn:queues', queue)
end
for _, queue in ipairs(queues) do pcall(tidy, queue) end
pcall(drop_dead, 'rq:workers')
pcall(drop_dead, 'rq:workers:callbacks')
-- A job deleted through RQ leaves its large body behind. A sample each time finds all of them in the end.
for _, id in ipairs(redis.call('SRANDMEMBER', 'swarmfn:bodies', limit)) do
  if redis.call('EXISTS', 'rq:job:' .. id) == 0 then
    redis.call('DEL', 'swarmfn:body:' .. id)
    redis.call('SREM', 'swarmfn:bodies', id)
  end
end
-- The records of letters expire, the oldest first as a rule.
local more = 0
for _, letter in ipairs(redis.call('SMEMBERS', 'swarmfn:letters')) do
  local key = 'swarmfn:letters:' .. letter
  local ids = redis.call('ZRANGE', key, 0, limit - 1)
  local gone = 0
  for _, id in ipairs(ids) do
    if redis.call('EXISTS', 'rq:job:' .. id) == 0 then gone = gone + redis.call('ZREM', key, id) end
  end
  if gone == tonumber(limit) then more = 1 end
  if redis.call('EXISTS', key) == 0 then redis.call('SREM', 'swarmfn:letters', letter) end
end
return more
