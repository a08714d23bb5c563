-- Reads the books: counters and queues as they are at one moment.
--
-- keys: rq:job:, rq:queue:, rq:scheduled:, rq:wip:, swarmfn:queues, swarmfn:totals
-- arguments: none
-- reply: the counters, as names and numbers in turn; and for each queue: name, when its first call was queued ('':
--   none waits), and how many of its calls wait, are put off and run

local queues = {}
for _, queue in ipairs(redis.call('SMEMBERS', 'swarmfn:queues')) do
  local head = redis.pcall('LINDEX', 'rq:queue:' .. queue, 0)
  local since = type(head) == 'string' and redis.pcall('HGET', 'rq:job:' .. head, 'enqueued_at')
  local row = {queue, type(since) == 'string' and since or ''}
  for _, words in ipairs({{'LLEN', 'rq:queue:'}, {'ZCARD', 'rq:scheduled:'}, {'ZCARD', 'rq:wip:'}}) do
    local length = redis.pcall(words[1], words[2] .. queue)
    row[#row + 1] = type(length) == 'number' and length or 0
  end
  queues[#queues + 1] = row
end
return {redis.call('HGETALL', 'swarmfn:totals'), queues}
