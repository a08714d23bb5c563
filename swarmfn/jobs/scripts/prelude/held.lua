-- Calls held back for their function's limit, in lists of their own, and those to be run alone. To RQ they are deferred.
--
-- keys: rq:deferred:, swarmfn:alone, swarmfn:held, swarmfn:held:
-- gives: drop_held(id, fn, queue), forget_empty(fn, queue)

local function forget_empty(fn, queue)
  local name = fn .. ':' .. queue
  if redis.call('EXISTS', 'swarmfn:held:' .. name) == 0 then redis.call('SREM', 'swarmfn:held', name) end
end
local function drop_held(id, fn, queue)
  redis.call('LREM', 'swarmfn:held:' .. fn .. ':' .. queue, 0, id)
  redis.call('LREM', 'swarmfn:alone', 0, id .. ':' .. queue)
  redis.call('ZREM', 'rq:deferred:' .. queue, id)
  forget_empty(fn, queue)
end
