-- Noting in a call's record how its callback fares.
--
-- keys: JOB
-- gives: tell_parent(parent, delivery, note); parent: '' or nil unless it is a callback

local function tell_parent(parent, delivery, note)
  if type(parent) ~= 'string' or parent == '' then return end
  -- The call may have run again since, and have another callback, or its key holds something else by now.
  if redis.pcall('HGET', JOB .. parent, 'delivery') == delivery then
    redis.call('HSET', JOB .. parent, 'callback', note)
  end
end
