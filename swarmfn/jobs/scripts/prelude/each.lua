-- Handling a batch's items one by one. Redis does not roll a script back, so one item's trouble (a key of another
-- type, say) must not end the script in the middle of the others: its reply is the error's text.
--
-- gives: each(first, width, handle), which calls handle(index in ARGV) for every item; replies, what the calls
--   returned

local replies = {}
local function each(first, width, handle)
  for i = first, #ARGV, width do
    local fine, reply = pcall(handle, i)
    if not fine and type(reply) == 'table' then reply = reply.err end
    replies[#replies + 1] = reply
  end
end
