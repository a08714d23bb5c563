#!lua flags=allow-oom
-- Puts claims off until later.
--
-- prelude: now, each, tally, release, parents
-- keys: DUE, JOB, SCHEDULED
-- arguments: worker
-- items: id, execution, queue, delay, failures, attempts, parent, note, counter
-- meaning: delay: seconds; attempts: '': they and failures stay as they are; parent: the call whose callback this is; note:
--   what to note there; counter: a field of TOTALS ('': none)
-- reply: for each item 1 when it is scheduled, 0 when the job is no longer this execution's, text when it cannot be

local function retry_later(item)
  local id, execution, queue = item.id, item.execution, item.queue
  if not still_holds(id, execution, queue, worker) then return 0 end
  local key, due = JOB .. id, now + item.delay
  -- Not beyond the moment from which on it is not to run: then it is claimed, and seen to have expired.
  due = math.min(due, tonumber(redis.call('HGET', key, 'expires') or '') or due)
  redis.call('ZADD', SCHEDULED .. queue, due, id)
  redis.call('ZADD', DUE, due, id .. ':' .. queue)
  redis.call('HSET', key, 'status', 'scheduled')
  if item.attempts ~= '' then redis.call('HSET', key, 'failures', item.failures, 'attempts', item.attempts) end
  redis.call('HDEL', key, 'execution')
  release(id, execution, queue, worker)
  tell_parent(item.parent, id, item.note)
  if item.counter ~= '' then count(item.counter) end
  return 1
end
each(retry_later)
write_releases()
write_tally()
return replies
