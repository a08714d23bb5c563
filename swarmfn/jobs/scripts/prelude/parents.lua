-- Noting in a call's record how its callback fares.
--
-- keys: rq:job:
-- gives: tell_parent(parent, delivery, note)

local function tell_parent(parent, delivery, note)
  -- The call may have run again since, and have another callback.
  if parent ~= '' and redis.call('HGET', 'rq:job:' .. parent, 'delivery') == delivery then
    redis.call('HSET', 'rq:job:' .. parent, 'callback', note)
  end
end
