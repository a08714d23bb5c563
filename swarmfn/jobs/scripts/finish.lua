#!lua flags=allow-oom
-- Ends claims for good.
--
-- prelude: now, each, tally, dead_letters, queueing, release, parents
-- keys: BODIES, BODY, FAILED, FINISHED, JOB, RESPONSE, RESULTS, UPLOAD
-- arguments: worker, moment, data, margin
-- items: id, execution, queue, counter, state, ttl, response, answer, large_answer, result_type, return_value, exc_string,
--   attempts, started_at, delivery, delivery_queue, delivery_call, delivery_body, delivery_large, delivery_timeout, parent,
--   note
-- meaning: moment: now in RQ's form; data: what every job has; margin: seconds a record outlives its registry entry;
--   counter: a field of TOTALS (succeeded:echo:echo); large_answer, delivery_large: the size of a large body ('':
--   it is a small one), which waits at UPLOAD .. ID:EXECUTION; delivery: the id of one to queue ('': none); parent:
--   the call whose callback this was; note: what to note there
-- reply: for each item 1 when it is recorded, 0 when the job is no longer this execution's, text when it cannot be

local function upload(id, execution) return UPLOAD .. id .. ':' .. execution end

local function queue_delivery(item, key)
  local delivery = item.delivery
  local delivery_key = JOB .. delivery
  redis.call('HSET', key, 'delivery', delivery, 'callback', 'queued')
  redis.call('HSET', delivery_key, 'data', data, 'created_at', moment, 'enqueued_at', moment, 'origin',
    item.delivery_queue, 'description', 'callback of ' .. item.id, 'status', 'queued', 'timeout', item.delivery_timeout,
    'call', item.delivery_call)
  if item.delivery_large ~= '' then
    local body = BODY .. delivery
    redis.call('RENAME', upload(delivery, item.execution), body)
    redis.call('PERSIST', body)
    redis.call('HSET', delivery_key, 'large', item.delivery_large)
    redis.call('SADD', BODIES, delivery)
  elseif item.delivery_body ~= '' then
    redis.call('HSET', delivery_key, 'body', item.delivery_body)
  end
  enqueue(item.delivery_queue, delivery)
end

local function keep_large_answer(item, key)
  redis.call('RENAME', upload(item.id, item.execution), RESPONSE .. item.id)
  redis.call('EXPIRE', RESPONSE .. item.id, item.ttl + margin)
  redis.call('HSET', key, 'large_answer', item.large_answer)
end

local function drop_body(id, key, ttl, succeeded, is_large)
  redis.call('HDEL', key, 'execution', unpack(succeeded and {'body', 'large'} or {}))
  if not is_large then return end
  if succeeded then
    redis.call('DEL', BODY .. id)
    redis.call('SREM', BODIES, id)
  else
    -- Kept, so that a failed invocation can be run again.
    redis.call('EXPIRE', BODY .. id, ttl + margin)
  end
end

local function write_end(item, key, status)
  if item.answer == '' then
    redis.call('HSET', key, 'status', status, 'state', item.state, 'ended_at', moment, 'response', item.response,
      'attempts', item.attempts)
  else
    redis.call('HSET', key, 'status', status, 'state', item.state, 'ended_at', moment, 'response', item.response,
      'attempts', item.attempts, 'answer', item.answer)
  end
end

local registered = {}
local function register(registry, expiry, id)
  local entries = registered[registry] or {}
  registered[registry] = entries
  entries[#entries + 1], entries[#entries + 2] = expiry, id
end

local function finish(item)
  local id, execution, queue, ttl = item.id, item.execution, item.queue, tonumber(item.ttl)
  local holds, is_large = still_holds(id, execution, queue, worker)
  if not holds then
    if item.large_answer ~= '' then redis.call('DEL', upload(id, execution)) end
    if item.delivery_large ~= '' then redis.call('DEL', upload(item.delivery, execution)) end
    return 0
  end
  local key, results, succeeded = JOB .. id, RESULTS .. id, item.state == 'succeeded'
  if item.large_answer ~= '' then keep_large_answer(item, key) end
  redis.call('XADD', results, 'MAXLEN', 10, '*', 'type', item.result_type, 'worker_name', worker,
    succeeded and 'return_value' or 'exc_string', succeeded and item.return_value or item.exc_string,
    'execution_id', execution, 'execution_started_at', item.started_at, 'execution_ended_at', now)
  write_end(item, key, succeeded and 'finished' or 'failed')
  drop_body(id, key, ttl, succeeded, is_large)
  redis.call('EXPIRE', results, ttl + margin)
  redis.call('EXPIRE', key, ttl + margin)
  register((succeeded and FINISHED or FAILED) .. queue, now + ttl, id)
  release(id, execution, queue, worker)
  count(item.counter)
  if not succeeded then keep_dead_letter(item.counter, id, now) end
  if item.delivery ~= '' then queue_delivery(item, key) end
  tell_parent(item.parent, id, item.note)
  return 1
end
each(finish)
for registry, entries in pairs(registered) do
  for first = 1, #entries, 1000 do
    redis.pcall('ZADD', registry, unpack(entries, first, math.min(first + 999, #entries)))
  end
end
write_releases()
write_tally()
wake()
return replies
