-- Says which queues are long, for gateways that look once a second instead of at every call.
--
-- keys: rq:deferred:, rq:queue:, rq:scheduled:, swarmfn:due, swarmfn:queues
-- arguments: limit
-- meaning: limit: how many calls make a queue long
-- reply: how many calls are put off in all; the longest queue and how many wait or are put off in it ('' and 0 without
--   one); and the long queues. A queue's priorities count together

local depths, longest, long = {}, '', {}
for _, queue in ipairs(redis.call('SMEMBERS', 'swarmfn:queues')) do
  local base = string.match(queue, '^(.*):high$') or string.match(queue, '^(.*):low$') or queue
  for _, words in ipairs({{'LLEN', 'rq:queue:'}, {'ZCARD', 'rq:scheduled:'}, {'ZCARD', 'rq:deferred:'}}) do
    local length = redis.pcall(words[1], words[2] .. queue)
    depths[base] = (depths[base] or 0) + (type(length) == 'number' and length or 0)
  end
end
for base, depth in pairs(depths) do
  if depth > (depths[longest] or 0) then longest = base end
  if depth >= tonumber(limit) then long[#long + 1] = base end
end
return {redis.call('ZCARD', 'swarmfn:due'), longest, depths[longest] or 0, long}
