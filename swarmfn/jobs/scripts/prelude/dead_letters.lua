-- What did not succeed, by how it ended, function and queue (its kind): what is listed, run again and purged from outside.
--
-- keys: DEAD_LETTERS, DEAD_LETTERS_OF
-- gives: keep_dead_letter(kind, id, at), drop_dead_letter(kind, id), kind_of(state, call, queue)

local function keep_dead_letter(kind, id, at)
  redis.call('ZADD', DEAD_LETTERS_OF .. kind, at, id)
  redis.call('SADD', DEAD_LETTERS, kind)
end
local function drop_dead_letter(kind, id)
  redis.call('ZREM', DEAD_LETTERS_OF .. kind, id)
end
local function kind_of(state, call, queue)
  local readable, document = pcall(cjson.decode, call or '')
  if not readable or type(document) ~= 'table' or type(document.fn) ~= 'string' then return 'foreign::' .. queue end
  if document.to then return 'undelivered:' .. document.fn end
  return state .. ':' .. document.fn .. ':' .. queue
end
