-- Says which queues are long, for gateways that look once a second instead of at every call.
--
-- keys: DEFERRED, DUE, QUEUE, QUEUES, SCHEDULED
-- constants: PRIORITY_SUFFIXES
-- arguments: limit
-- meaning: limit: how many calls make a queue long
-- reply: how many calls are put off in all; the longest queue and how many wait or are put off in it ('' and 0 without
--   one); and the long queues. A queue's priorities count together

local function base_of(queue)
  for _, suffix in ipairs(PRIORITY_SUFFIXES) do
    if suffix ~= '' and string.sub(queue, -#suffix) == suffix then return string.sub(queue, 1, -#suffix - 1) end
  end
  return queue
end
local depths, longest, long = {}, '', {}
for _, queue in ipairs(redis.call('SMEMBERS', QUEUES)) do
  local base = base_of(queue)
  for _, words in ipairs({{'LLEN', QUEUE}, {'ZCARD', SCHEDULED}, {'ZCARD', DEFERRED}}) do
    local length = redis.pcall(words[1], words[2] .. queue)
    depths[base] = (depths[base] or 0) + (type(length) == 'number' and length or 0)
  end
end
for base, depth in pairs(depths) do
  if depth > (depths[longest] or 0) then longest = base end
  if depth >= tonumber(limit) then long[#long + 1] = base end
end
return {redis.call('ZCARD', DUE), longest, depths[longest] or 0, long}
