-- Putting claims back at the head of their queues, or where they wait to be run alone.
--
-- prelude: now, tally, queueing, release
-- keys: ALONE, DEFERRED, JOB
-- gives: put_all_back(entries, current, fate_of): fate_of(id, worker) says whether it is to be run alone, and whether it
--   counts as a failure

local function put_back(entry, current, fate_of)
  local id, execution, queue = string.match(entry, '^([^:]*):([^:]*):(.*)$')
  if not id then return 0 end
  local key = JOB .. id
  local worker = redis.call('HGET', key, 'worker_name') or ''
  if not still_holds(id, execution, queue, worker) then return 0 end
  local is_alone, is_charged = fate_of(id, worker)
  -- First of the writes, because it fails where the key is not a list.
  if not is_alone then
    enqueue(queue, id, true)
  else
    -- What brings its process down comes last, so that the others are through with it first.
    redis.call(is_charged and 'RPUSH' or 'LPUSH', ALONE, id .. ':' .. queue)
    redis.call('ZADD', DEFERRED .. queue, now, id)
    know(queue)
  end
  release(id, execution, queue, worker)
  redis.call('HDEL', key, 'execution')
  redis.call('HSET', key, 'status', is_alone and 'deferred' or 'queued', 'enqueued_at', current)
  redis.pcall('HINCRBY', key, 'interruptions', 1)
  -- A job that brings its worker down each time must come to an end.
  if is_charged then redis.pcall('HINCRBY', key, 'failures', 1) end
  return 1
end
-- → how many, and the entries that are done with; the others cannot be queued now.
local function put_all_back(entries, current, fate_of)
  local returned, done = 0, {}
  for n = #entries, 1, -1 do
    local fine, number = pcall(put_back, entries[n], current, fate_of)
    if fine then
      returned = returned + number
      done[#done + 1] = entries[n]
    end
  end
  return returned, done
end
