#!lua flags=allow-oom
-- Puts claims off until later.
--
-- prelude: now, each, tally, release, parents
-- keys: rq:job:, rq:scheduled:, swarmfn:due
-- arguments: worker; items (9): id, execution, queue, delay seconds, failures, attempts ('': both stay as they are),
--   parent id, callback state, counter ('': none)
-- reply: for each item 1 when it is scheduled, 0 when the job is no longer this execution's, text when it cannot be

local function retry_later(i)
  local id, execution, queue = ARGV[i], ARGV[i+1], ARGV[i+2]
  if not still_holds(id, execution, queue, ARGV[1]) then return 0 end
  local key, due = 'rq:job:' .. id, now + ARGV[i+3]
  -- Not beyond the moment from which on it is not to run: then it is claimed, and seen to have expired.
  due = math.min(due, tonumber(redis.call('HGET', key, 'expires') or '') or due)
  redis.call('ZADD', 'rq:scheduled:' .. queue, due, id)
  redis.call('ZADD', 'swarmfn:due', due, id .. ':' .. queue)
  redis.call('HSET', key, 'status', 'scheduled')
  if ARGV[i+5] ~= '' then redis.call('HSET', key, 'failures', ARGV[i+4], 'attempts', ARGV[i+5]) end
  redis.call('HDEL', key, 'execution')
  release(id, execution, queue, ARGV[1])
  tell_parent(ARGV[i+6], id, ARGV[i+7])
  if ARGV[i+8] ~= '' then count(ARGV[i+8]) end
  return 1
end
each(2, 9, retry_later)
write_releases()
write_tally()
return replies
