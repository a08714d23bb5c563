-- Stores calls.
--
-- prelude: now, each, tally, queueing
-- keys: BODIES, BODY, DEFERRED, DUE, HELD, HELD_CALLS, IDEMPOTENCY, JOB, QUEUE, SCHEDULED
-- constants: PRIORITY_SUFFIXES
-- arguments: data, moment
-- items: id, queue, fn, call, body, size, upload, timeout, terms
-- meaning: data: what every job has; moment: now in RQ's form; body: a small one; size, upload: of a large one, and the key
--   it was uploaded to ('': none); terms: '' or JSON
-- reply: for each item 1 when it is stored, 0 when its id is taken (its upload is left alone: the call comes again under
--   another id), text when it could not be stored; a list when
--   its terms say so: `replay` and the id of the first call with its idempotency key, `reused` when that call was
--   another one; `full`, which limit was passed (`depth`, `age` or `put_off`), how many wait, and since when ('': unknown)

local function drop(upload)
  if upload ~= '' then redis.call('DEL', upload) end
end

local function replay_of(terms)
  local seen = terms.key and redis.call('GET', IDEMPOTENCY .. terms.key)
  if not seen then return end
  local id, print = string.match(seen, '^(%S+) (.*)$')
  return print == terms.print and {'replay', id} or {'reused'}
end

local function due_of(terms)
  local due = tonumber(terms.at) or terms.delay and now + terms.delay
  return due and due > now and due
end

-- Of the queue itself and those of its priorities: how many wait or are put off, and since when the first one waits.
local depths, since = {}, {}
local function depth_of(queue)
  if not depths[queue] then
    depths[queue] = 0
    for _, suffix in ipairs(PRIORITY_SUFFIXES) do
      depths[queue] = depths[queue] + redis.call('LLEN', QUEUE .. queue .. suffix)
        + redis.call('ZCARD', SCHEDULED .. queue .. suffix) + redis.call('ZCARD', DEFERRED .. queue .. suffix)
    end
  end
  return depths[queue]
end
local function waits_since(queue)
  if since[queue] then return since[queue] end
  since[queue] = ''
  local function look_at(list)
    local first = redis.call('LINDEX', list, 0)
    local moment = first and redis.pcall('HGET', JOB .. first, 'enqueued_at')
    if type(moment) == 'string' and (since[queue] == '' or moment < since[queue]) then since[queue] = moment end
  end
  local own = {}
  for _, suffix in ipairs(PRIORITY_SUFFIXES) do
    own[queue .. suffix] = true
    look_at(QUEUE .. queue .. suffix)
  end
  for _, name in ipairs(redis.call('SMEMBERS', HELD)) do
    if own[string.match(name, '^[^:]*:(.*)$') or false] then look_at(HELD_CALLS .. name) end
  end
  return since[queue]
end
local function refusal(terms, due)
  if due and terms.put_off then
    local number = redis.call('ZCARD', DUE)
    if number >= terms.put_off then return {'full', 'put_off', number, ''} end
  end
  if not terms.queue then return end
  if terms.depth and depth_of(terms.queue) >= terms.depth then
    return {'full', 'depth', depth_of(terms.queue), waits_since(terms.queue)}
  end
  -- Moments in RQ's form are in the order of their text.
  local moment = terms.oldest and not due and waits_since(terms.queue)
  if moment and moment ~= '' and moment < terms.oldest then return {'full', 'age', depth_of(terms.queue), moment} end
end

local function put_off(queue, id, due)
  due = string.format('%.6f', due)
  redis.call('ZADD', SCHEDULED .. queue, due, id)
  redis.call('ZADD', DUE, due, id .. ':' .. queue)
  know(queue)
end

local function submit(item)
  local id, queue, fn, call, upload = item.id, item.queue, item.fn, item.call, item.upload
  local key = JOB .. id
  local terms = item.terms ~= '' and cjson.decode(item.terms)
  if terms then
    local replay = replay_of(terms)
    if replay then
      drop(upload)
      return replay
    end
  end
  if redis.call('EXISTS', key) == 1 then
    if redis.pcall('HGET', key, 'call') ~= call then return 0 end
    -- The very same call, sent again because its first reply was lost, is stored already.
    drop(upload)
    return 1
  end
  local due = terms and due_of(terms)
  local full = terms and refusal(terms, due)
  if full then
    drop(upload)
    return full
  end
  if terms and terms.probe then return 1 end
  if upload ~= '' and redis.call('STRLEN', upload) ~= tonumber(item.size) then return 'its body has gone' end
  -- First of the writes, because it can be refused: the memory is full, or the queue's key is not a list.
  if due then put_off(queue, id, due) else enqueue(queue, id) end
  redis.call('HSET', key, 'data', data, 'created_at', moment, 'enqueued_at', moment, 'origin', queue,
    'description', 'invoke ' .. fn, 'status', due and 'scheduled' or 'queued', 'timeout', item.timeout, 'call', call)
  if due then redis.call('HDEL', key, 'enqueued_at') end
  if terms and depths[terms.queue] then depths[terms.queue] = depths[terms.queue] + 1 end
  if upload ~= '' then
    redis.call('RENAME', upload, BODY .. id)
    redis.call('PERSIST', BODY .. id)
    redis.call('SADD', BODIES, id)
    redis.call('HSET', key, 'large', item.size)
  elseif item.body ~= '' then
    redis.call('HSET', key, 'body', item.body)
  end
  if terms and terms.max_age then
    redis.call('HSET', key, 'expires', string.format('%.3f', (due or now) + terms.max_age))
  end
  if terms and terms.key then
    redis.call('SET', IDEMPOTENCY .. terms.key, id .. ' ' .. terms.print, 'PX', terms.window)
  end
  count('accepted:' .. fn .. ':' .. queue)
  return 1
end
each(submit)
write_tally()
wake()
return replies
