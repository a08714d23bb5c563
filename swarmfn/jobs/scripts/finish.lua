#!lua flags=allow-oom
-- Ends claims for good.
--
-- prelude: now, each, tally, letters, queueing, release, parents
-- keys: rq:failed:, rq:finished:, rq:job:, rq:results:, swarmfn:bodies, swarmfn:body:, swarmfn:response:,
--   swarmfn:upload:
-- arguments: worker, now, data, seconds a record outlives its registry entry; items (22): id, execution, queue,
--   counter, state, ttl, response, answer, size of a large answer, result type, return value, exc string, attempts,
--   started at; a delivery to queue: id, call, body, size of a large body, timeout; the call whose callback this
--   was, and what to note there; the queue of the delivery. `counter` is a field of swarmfn:totals
--   (succeeded:echo:echo). Large bodies wait at swarmfn:upload:ID:EXECUTION
-- reply: for each item 1 when it is recorded, 0 when the job is no longer this execution's, text when it cannot be

local function upload(id, execution) return 'swarmfn:upload:' .. id .. ':' .. execution end

local function queue_delivery(i, id, key)
  local delivery = ARGV[i+14]
  local delivery_key = 'rq:job:' .. delivery
  redis.call('HSET', key, 'delivery', delivery, 'callback', 'queued')
  redis.call('HSET', delivery_key, 'data', ARGV[3], 'created_at', ARGV[2], 'enqueued_at', ARGV[2], 'origin',
    ARGV[i+21], 'description', 'callback of ' .. id, 'status', 'queued', 'timeout', ARGV[i+18], 'call', ARGV[i+15])
  if ARGV[i+17] ~= '' then
    local body = 'swarmfn:body:' .. delivery
    redis.call('RENAME', upload(delivery, ARGV[i+1]), body)
    redis.call('PERSIST', body)
    redis.call('HSET', delivery_key, 'large', ARGV[i+17])
    redis.call('SADD', 'swarmfn:bodies', delivery)
  elseif ARGV[i+16] ~= '' then
    redis.call('HSET', delivery_key, 'body', ARGV[i+16])
  end
  enqueue(ARGV[i+21], delivery)
end

local function keep_large_answer(i, id, key, ttl)
  redis.call('RENAME', upload(id, ARGV[i+1]), 'swarmfn:response:' .. id)
  redis.call('EXPIRE', 'swarmfn:response:' .. id, ttl + ARGV[4])
  redis.call('HSET', key, 'large_answer', ARGV[i+8])
end

local function drop_body(id, key, ttl, succeeded, is_large)
  redis.call('HDEL', key, 'execution', unpack(succeeded and {'body', 'large'} or {}))
  if not is_large then return end
  if succeeded then
    redis.call('DEL', 'swarmfn:body:' .. id)
    redis.call('SREM', 'swarmfn:bodies', id)
  else
    -- Kept, so that a failed invocation can be run again.
    redis.call('EXPIRE', 'swarmfn:body:' .. id, ttl + ARGV[4])
  end
end

local function write_end(i, key, status)
  if ARGV[i+7] == '' then
    redis.call('HSET', key, 'status', status, 'state', ARGV[i+4], 'ended_at', ARGV[2], 'response', ARGV[i+6],
      'attempts', ARGV[i+12])
  else
    redis.call('HSET', key, 'status', status, 'state', ARGV[i+4], 'ended_at', ARGV[2], 'response', ARGV[i+6],
      'attempts', ARGV[i+12], 'answer', ARGV[i+7])
  end
end

local registered = {}
local function register(registry, expiry, id)
  local entries = registered[registry] or {}
  registered[registry] = entries
  entries[#entries + 1], entries[#entries + 2] = expiry, id
end

local function finish(i)
  local id, execution, queue, ttl = ARGV[i], ARGV[i+1], ARGV[i+2], tonumber(ARGV[i+5])
  local holds, is_large = still_holds(id, execution, queue, ARGV[1])
  if not holds then
    if ARGV[i+8] ~= '' then redis.call('DEL', upload(id, execution)) end
    if ARGV[i+17] ~= '' then redis.call('DEL', upload(ARGV[i+14], execution)) end
    return 0
  end
  local key, results, succeeded = 'rq:job:' .. id, 'rq:results:' .. id, ARGV[i+4] == 'succeeded'
  if ARGV[i+8] ~= '' then keep_large_answer(i, id, key, ttl) end
  redis.call('XADD', results, 'MAXLEN', 10, '*', 'type', ARGV[i+9], 'worker_name', ARGV[1],
    succeeded and 'return_value' or 'exc_string', succeeded and ARGV[i+10] or ARGV[i+11],
    'execution_id', execution, 'execution_started_at', ARGV[i+13], 'execution_ended_at', now)
  write_end(i, key, succeeded and 'finished' or 'failed')
  drop_body(id, key, ttl, succeeded, is_large)
  redis.call('EXPIRE', results, ttl + ARGV[4])
  redis.call('EXPIRE', key, ttl + ARGV[4])
  register((succeeded and 'rq:finished:' or 'rq:failed:') .. queue, now + ttl, id)
  release(id, execution, queue, ARGV[1])
  count(ARGV[i+3])
  if not succeeded then keep_letter(ARGV[i+3], id, now) end
  if ARGV[i+14] ~= '' then queue_delivery(i, id, key) end
  tell_parent(ARGV[i+19], id, ARGV[i+20])
  return 1
end
each(5, 22, finish)
for registry, entries in pairs(registered) do
  for first = 1, #entries, 1000 do
    redis.pcall('ZADD', registry, unpack(entries, first, math.min(first + 999, #entries)))
  end
end
write_releases()
write_tally()
wake()
return replies
