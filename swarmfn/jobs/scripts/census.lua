-- Reads the books: counters and queues as they are at one moment.
--
-- keys: rq:deferred:, rq:job:, rq:queue:, rq:scheduled:, rq:suspended, rq:wip:, swarmfn:held, swarmfn:held:, swarmfn:queues,
--   swarmfn:totals
-- arguments: none
-- reply: the counters, as names and numbers in turn; and for each queue: name, when its first call was queued ('':
--   none waits), and how many of its calls wait, are put off and run; and
--   1 while workers are suspended, else 0

-- Those held back for a function's limit have waited longer than what is in the queue.
local function older(one, other)
  if type(one) ~= 'string' or one == '' then return other end
  return (other == '' or one < other) and one or other
end
local since_of = {}
for _, name in ipairs(redis.call('SMEMBERS', 'swarmfn:held')) do
  local queue, first = string.match(name, '^[^:]*:(.*)$'), redis.pcall('LINDEX', 'swarmfn:held:' .. name, 0)
  if queue and type(first) == 'string' then
    since_of[queue] = older(redis.pcall('HGET', 'rq:job:' .. first, 'enqueued_at'), since_of[queue] or '')
  end
end
local queues = {}
for _, queue in ipairs(redis.call('SMEMBERS', 'swarmfn:queues')) do
  local head = redis.pcall('LINDEX', 'rq:queue:' .. queue, 0)
  local since = type(head) == 'string' and redis.pcall('HGET', 'rq:job:' .. head, 'enqueued_at')
  local row = {queue, older(since, since_of[queue] or '')}
  for _, words in ipairs({{'LLEN', 'rq:queue:'}, {'ZCARD', 'rq:scheduled:'}, {'ZCARD', 'rq:wip:'}}) do
    local length = redis.pcall(words[1], words[2] .. queue)
    row[#row + 1] = type(length) == 'number' and length or 0
  end
  local held = redis.pcall('ZCARD', 'rq:deferred:' .. queue)
  row[3] = row[3] + (type(held) == 'number' and held or 0)
  queues[#queues + 1] = row
end
return {redis.call('HGETALL', 'swarmfn:totals'), queues, redis.call('EXISTS', 'rq:suspended')}
