#!lua flags=allow-oom
-- A worker's entry, also in a Redis whose memory is full: who looks whether it is alive must not end it, for it is what
-- makes room.
--
-- keys: rq:worker:, rq:workers, rq:workers:
-- arguments: the worker's name, seconds until its entry expires, how many queues; their names; then for each of the
--   items (2): field, value
-- reply: 1

local key, queues = 'rq:worker:' .. ARGV[1], tonumber(ARGV[3])
for i = 4 + queues, #ARGV, 2 do
  redis.call('HSET', key, ARGV[i], ARGV[i+1])
end
redis.call('EXPIRE', key, ARGV[2])
redis.call('SADD', 'rq:workers', key)
for i = 4, 3 + queues do
  redis.call('SADD', 'rq:workers:' .. ARGV[i], key)
end
return 1
