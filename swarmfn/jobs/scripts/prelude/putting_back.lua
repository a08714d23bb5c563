-- Putting claims back at the head of their queues.
--
-- prelude: tally, queueing, release
-- keys: rq:job:
-- gives: put_all_back(entries, current, has_died)

local function put_back(entry, current, has_died)
  local id, execution, queue = string.match(entry, '^([^:]*):([^:]*):(.*)$')
  if not id then return 0 end
  local key = 'rq:job:' .. id
  local worker = redis.call('HGET', key, 'worker_name') or ''
  if not still_holds(id, execution, queue, worker) then return 0 end
  enqueue(queue, id, true) -- first of the writes, because it fails where the queue's key is no list
  release(id, execution, queue, worker)
  redis.call('HDEL', key, 'execution')
  redis.call('HSET', key, 'status', 'queued', 'enqueued_at', current)
  redis.pcall('HINCRBY', key, 'interruptions', 1)
  -- A job that brings its worker down each time must come to an end.
  if has_died then redis.pcall('HINCRBY', key, 'failures', 1) end
  return 1
end
-- → how many, and the entries that are done with; the others cannot be queued now.
local function put_all_back(entries, current, has_died)
  local returned, done = 0, {}
  for n = #entries, 1, -1 do
    local fine, number = pcall(put_back, entries[n], current, has_died)
    if fine then
      returned = returned + number
      done[#done + 1] = entries[n]
    end
  end
  return returned, done
end
