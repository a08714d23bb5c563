-- What did not succeed, by how it ended, function and queue: what is listed, run again and purged from outside.
--
-- keys: swarmfn:letters, swarmfn:letters:
-- gives: keep_letter(letter, id, at), drop_letter(letter, id), letter_of(state, call, queue)

local function keep_letter(letter, id, at)
  redis.call('ZADD', 'swarmfn:letters:' .. letter, at, id)
  redis.call('SADD', 'swarmfn:letters', letter)
end
local function drop_letter(letter, id)
  if letter then redis.call('ZREM', 'swarmfn:letters:' .. letter, id) end
end
local function letter_of(state, call, queue)
  local readable, document = pcall(cjson.decode, call or '')
  if not readable or type(document) ~= 'table' or type(document.fn) ~= 'string' then return 'foreign::' .. queue end
  if document.to then return 'undelivered:' .. document.fn end
  return state .. ':' .. document.fn .. ':' .. queue
end
