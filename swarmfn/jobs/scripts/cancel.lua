#!lua flags=allow-oom
-- Ends a call because somebody asked for it.
--
-- prelude: now, tally, dead_letters, release, held
-- keys: BODIES, BODY, CANCELED, DUE, JOB, QUEUE, SCHEDULED, STOP
-- arguments: id, moment, ttl, margin
-- meaning: moment: now in RQ's form; ttl: seconds the record is kept; margin: seconds it outlives its registry entry
-- reply: `queued`, `scheduled` or `started`: what it was until now; `final`: it has ended; `unknown`: no such call

local key = JOB .. id
local job = redis.pcall('HMGET', key, 'status', 'call', 'origin', 'execution', 'worker_name', 'state')
local fn = not job.err and function_of(job[2])
if not fn then return 'unknown' end
local status, queue, execution, worker = job[1], job[3] or '', job[4], job[5] or ''

local leave = {
  queued = function() redis.call('LREM', QUEUE .. queue, 0, id) end,
  deferred = function() drop_held(id, fn, queue) end,
  scheduled = function()
    redis.call('ZREM', SCHEDULED .. queue, id)
    redis.call('ZREM', DUE, id .. ':' .. queue)
  end,
  started = function()
    if not execution then return end
    release(id, execution, queue, worker)
    -- Its worker looks here ten times a second.
    local stop = STOP .. worker
    redis.call('SADD', stop, id .. ':' .. execution .. ':' .. queue)
    redis.call('EXPIRE', stop, 30)
  end,
}
if not leave[status] then return 'final' end
leave[status]()
-- Final before, queued again by hand, and not yet claimed: that is counted here instead.
if job[6] then
  count('redriven:' .. fn .. ':' .. queue)
  drop_dead_letter(kind_of(job[6], job[2], queue), id)
end
redis.call('HSET', key, 'status', 'canceled', 'state', 'cancelled', 'ended_at', moment)
redis.call('HDEL', key, 'execution', 'body', 'large')
redis.call('DEL', BODY .. id)
redis.call('SREM', BODIES, id)
redis.call('EXPIRE', key, ttl + margin)
redis.call('ZADD', CANCELED .. queue, math.floor(now), id)
count('cancelled:' .. fn .. ':' .. queue)
keep_dead_letter('cancelled:' .. fn .. ':' .. queue, id, now)
write_releases()
write_tally()
return status == 'deferred' and 'queued' or status
