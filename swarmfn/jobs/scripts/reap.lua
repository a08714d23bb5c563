#!lua flags=allow-oom
-- Puts back what workers claimed and neither finished nor renewed in time.
--
-- prelude: now, tally, queueing, release, putting_back
-- keys: CLAIMS, JOB, LEASES
-- arguments: moment, limit, longest
-- meaning: moment: now in RQ's form; limit: how many to look at; longest: the longest lease anybody can have asked for
-- reply: how many were put back

-- A lease beyond that was made before Redis's clock was set back.
local beyond = '(' .. (now + longest)
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', LEASES, beyond, '+inf', 'LIMIT', 0, limit)) do
  redis.call('ZADD', LEASES, now + longest, entry)
end
local entries = redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, limit)
-- Those that cannot be queued get out of the way of the others.
for _, entry in ipairs(entries) do redis.call('ZADD', LEASES, now + 10, entry) end
-- Most likely its machine is gone, in which the call had no part. When that happens to it again, it is run alone; and it
-- is charged only when there was no other.
local function fate_of(id, worker)
  return redis.pcall('HEXISTS', JOB .. id, 'interruptions') == 1,
    redis.call('SCARD', CLAIMS .. worker) == 1
end
local returned, done = put_all_back(entries, moment, fate_of)
write_releases()
for _, entry in ipairs(done) do redis.call('ZREM', LEASES, entry) end
write_tally()
wake()
return returned
