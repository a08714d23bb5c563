-- Handling a batch's items one by one. Redis does not roll a script back, so one item's trouble (a key of another
-- type, say) must not end the script in the middle of the others: its reply is the error's text.
--
-- gives: each(handle), which calls handle(item) for every item, a table with the names that the script's comment gives
--   them; replies, what the calls returned

local replies = {}
local function each(handle)
  for i = FIRST_ITEM, #ARGV, ITEM_WIDTH do
    local fine, reply = pcall(handle, item_at(i))
    if not fine and type(reply) == 'table' then reply = reply.err end
    replies[#replies + 1] = reply
  end
end
