#!lua flags=allow-oom
-- A worker's entry, also in a Redis whose memory is full: who looks whether it is alive must not end it, for it is what
-- makes room.
--
-- prelude: each
-- keys: WORKER, WORKERS, WORKERS_OF
-- arguments: worker, ttl, queues
-- items: field, value
-- meaning: ttl: seconds until its entry expires; queues: JSON: the names of those it serves
-- reply: 1

local key = WORKER .. worker
each(function(item) redis.call('HSET', key, item.field, item.value) end)
redis.call('EXPIRE', key, ttl)
redis.call('SADD', WORKERS, key)
for _, queue in ipairs(cjson.decode(queues)) do
  redis.call('SADD', WORKERS_OF .. queue, key)
end
return 1
