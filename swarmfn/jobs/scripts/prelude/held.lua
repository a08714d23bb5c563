-- Calls held back for their function's limit, in lists of their own, and those to be run alone. To RQ they are deferred.
--
-- keys: ALONE, DEFERRED, HELD, HELD_CALLS
-- gives: drop_held(id, fn, queue), forget_empty(fn, queue)

local function forget_empty(fn, queue)
  local name = fn .. ':' .. queue
  if redis.call('EXISTS', HELD_CALLS .. name) == 0 then redis.call('SREM', HELD, name) end
end
local function drop_held(id, fn, queue)
  redis.call('LREM', HELD_CALLS .. fn .. ':' .. queue, 0, id)
  redis.call('LREM', ALONE, 0, id .. ':' .. queue)
  redis.call('ZREM', DEFERRED .. queue, id)
  forget_empty(fn, queue)
end
