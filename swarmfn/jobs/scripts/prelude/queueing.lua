-- Putting ids into queues. Tell the workers at the end: wake() must follow enqueue().
--
-- keys: QUEUE, QUEUES, RQ_QUEUES, WAKE
-- gives: know(queue), enqueue(queue, id, front), wake()

local known, woken = {}, {}
local function know(queue)
  if known[queue] then return end
  known[queue] = true
  redis.call('SADD', RQ_QUEUES, QUEUE .. queue)
  redis.call('SADD', QUEUES, queue)
end
local function enqueue(queue, id, front)
  local length = redis.call(front and 'LPUSH' or 'RPUSH', QUEUE .. queue, id)
  know(queue)
  -- Workers remember a queue until they have seen it empty, so only the first job of an empty one is news.
  if length == 1 then woken[queue] = true end
end
local function wake()
  for queue in pairs(woken) do redis.call('PUBLISH', WAKE, queue) end
end
