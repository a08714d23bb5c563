-- Reads the books: counters and queues as they are at one moment.
--
-- keys: DEFERRED, HELD, HELD_CALLS, JOB, QUEUE, QUEUES, SCHEDULED, SUSPENDED, TOTALS, WIP
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
for _, name in ipairs(redis.call('SMEMBERS', HELD)) do
  local queue, first = string.match(name, '^[^:]*:(.*)$'), redis.pcall('LINDEX', HELD_CALLS .. name, 0)
  if queue and type(first) == 'string' then
    since_of[queue] = older(redis.pcall('HGET', JOB .. first, 'enqueued_at'), since_of[queue] or '')
  end
end
local queues = {}
for _, queue in ipairs(redis.call('SMEMBERS', QUEUES)) do
  local head = redis.pcall('LINDEX', QUEUE .. queue, 0)
  local since = type(head) == 'string' and redis.pcall('HGET', JOB .. head, 'enqueued_at')
  local row = {queue, older(since, since_of[queue] or '')}
  for _, words in ipairs({{'LLEN', QUEUE}, {'ZCARD', SCHEDULED}, {'ZCARD', WIP}}) do
    local length = redis.pcall(words[1], words[2] .. queue)
    row[#row + 1] = type(length) == 'number' and length or 0
  end
  local held = redis.pcall('ZCARD', DEFERRED .. queue)
  row[3] = row[3] + (type(held) == 'number' and held or 0)
  queues[#queues + 1] = row
end
return {redis.call('HGETALL', TOTALS), queues, redis.call('EXISTS', SUSPENDED)}
