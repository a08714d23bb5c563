#!lua flags=allow-oom
-- Takes calls off their queues.
--
-- prelude: now, each, tally, dead_letters, rerun, held
-- keys: ALONE, CLAIMS, DEFERRED, HELD, HELD_CALLS, JOB, LEASES, QUEUE, RUNNING, SET_ASIDE, SUSPENDED, WIP
-- constants: CALLBACKS, PRIORITY_SUFFIXES
-- arguments: worker, prefix, lease, moment, data
-- items: queue, wanted, limits
-- meaning: prefix: what the executions begin with; lease: seconds; moment: now in RQ's form; data: what every job has;
--   wanted: how many calls; limits: '' or JSON: for each limited function how many of its calls may run, and whether the
--   queue has others too. Beside a queue may be two more, for calls of high and of low priority; those of callbacks have
--   none. In place of a queue ALONE asks for one of those that are to be run alone; its limits are those of
--   all functions
-- reply: the claims (for each: id, execution, queue, data, call, body, large, failures, attempts, `1` if it waited
--   too long), and the queues that may hold more

local claims, more = {}, {}
if redis.call('EXISTS', SUSPENDED) == 1 then return {claims, more} end

-- A job with one of these states was run, cancelled or claimed meanwhile, and its id is in the list once too often.
local not_waiting = {started = true, finished = true, failed = true, canceled = true, stopped = true,
  scheduled = true, deferred = true}

local function fields(id)
  return redis.call('HMGET', JOB .. id, 'status', 'state', 'data', 'call', 'body', 'large', 'failures',
    'attempts', 'execution', 'description', 'expires')
end

local function is_running(id, execution, queue)
  return execution and redis.call('ZSCORE', LEASES, id .. ':' .. execution .. ':' .. queue)
end

local function begin_anew(id, job, queue)
  -- Final before, and queued again by hand (rq-dashboard, rq requeue): its attempts start again.
  forget_last_run(id, job[2], job[4], queue)
  local fn = function_of(job[4])
  if fn then count('redriven:' .. fn .. ':' .. queue) end
  job[7], job[8], job[11] = false, false, false
end

local function repair(key, queue, job)
  -- Without these fields no tool of RQ's would show it.
  redis.call('HSET', key, 'data', data, 'origin', queue, 'created_at', moment)
end

local function take(queue, id, was_held)
  if not string.match(id, '^[%w_-]+$') then
    count('unreadable::' .. queue) -- RQ refuses such ids, so nobody could look at it
    return
  end
  local key = JOB .. id
  local fine, job = pcall(fields, id)
  if not fine then
    -- No hash: moved away, and what takes its place is seen to fail.
    redis.call('RENAME', key, SET_ASIDE .. id)
    redis.call('EXPIRE', SET_ASIDE .. id, 604800)
    job = {'queued'}
  elseif not job[1] and redis.call('EXISTS', key) == 0 then
    return -- deleted: ids stay in the list for a while
  end
  if job[1] and not_waiting[job[1]] and not (was_held and job[1] == 'deferred') then return end
  if is_running(id, job[9], queue) then
    redis.call('HSET', key, 'status', 'started') -- queued again by hand while it runs
    return
  end
  -- Its body is gone, it cannot run again.
  local final = ({succeeded = 'finished', cancelled = 'canceled'})[job[2]]
  if final then
    redis.call('HSET', key, 'status', final)
    return
  end
  if job[2] then begin_anew(id, job, queue) end
  if not job[3] then repair(key, queue, job) end
  local execution = prefix .. (#claims + 1)
  local has_expired = job[11] and now >= (tonumber(job[11]) or now + 1)
  if has_expired then -- it is only claimed to be ended
    redis.call('HSET', key, 'status', 'started', 'last_heartbeat', moment, 'worker_name', worker,
      'execution', execution)
  else
    redis.call('HSET', key, 'status', 'started', 'started_at', moment, 'last_heartbeat', moment,
      'worker_name', worker, 'execution', execution)
    -- The description names the function, which is cheaper than looking into the call.
    local fn = string.match(job[10] or '', '^invoke (.+)$')
    if fn then count('started:' .. fn .. ':' .. queue) end
  end
  claims[#claims + 1] = {id, execution, queue, job[3] or '', job[4] or '', job[5] or '', job[6] or '',
    job[7] or '0', job[8] or '', has_expired and '1' or ''}
  return execution
end

-- How many more calls of each limited function may run. Ending a claim does not involve limits: what has no lease
-- any more is taken out here.
local function rooms_of(limits, wanted)
  local rooms, sum = {}, 0
  for fn, limit in pairs(limits) do
    local key = RUNNING .. fn
    if limit - redis.call('SCARD', key) < wanted then
      for _, entry in ipairs(redis.call('SMEMBERS', key)) do
        if not redis.call('ZSCORE', LEASES, entry) then redis.call('SREM', key, entry) end
      end
    end
    rooms[fn] = math.max(0, limit - redis.call('SCARD', key))
    sum = sum + rooms[fn]
  end
  return rooms, sum
end

local started, leased, entries -- of one queue
local function note_claim(queue, id, execution, fn)
  local entry = id .. ':' .. execution
  -- RQ's own cleanup would FAIL entries whose score has passed; the true lease is in LEASES.
  started[#started + 1], started[#started + 2] = '+inf', entry
  entry = entry .. ':' .. queue
  leased[#leased + 1], leased[#leased + 2] = now + lease, entry
  entries[#entries + 1] = entry
  if fn then
    redis.call('SADD', RUNNING .. fn, entry)
    redis.call('EXPIRE', RUNNING .. fn, 86400)
  end
end

-- Both return how much of what was wanted is used up, and whether there may be more.
local function claim_any(queue, wanted)
  local ids = redis.call('LPOP', QUEUE .. queue, wanted) or {}
  for _, id in ipairs(ids) do
    local fine, execution = pcall(take, queue, id)
    if fine and execution then note_claim(queue, id, execution) end
  end
  return #ids, #ids == wanted
end

-- Calls over their function's limit go from the queue to a list of their own, once, so that nobody behind them waits and
-- no later claim looks at them again. To RQ they are deferred.
local function hold(queue, id, fn, status)
  if status and not_waiting[status] then return end
  local name = fn .. ':' .. queue
  redis.call('RPUSH', HELD_CALLS .. name, id)
  redis.call('SADD', HELD, name)
  redis.call('ZADD', DEFERRED .. queue, now, id)
  redis.call('HSET', JOB .. id, 'status', 'deferred')
end

local holding -- the members of HELD, read when the first limited queue is claimed from
local function is_holding(fn, queue)
  if not holding then
    holding = {}
    for _, name in ipairs(redis.call('SMEMBERS', HELD)) do holding[name] = true end
  end
  return holding[fn .. ':' .. queue]
end

local function claim_held(queue, fn, wanted)
  local list, taken, looked_at = HELD_CALLS .. fn .. ':' .. queue, 0, 0
  -- Those that were cancelled or deleted through RQ are still there, and keep no other waiting.
  while taken < wanted and looked_at < wanted + 500 do
    local id = redis.call('LPOP', list)
    if not id then break end
    looked_at = looked_at + 1
    redis.call('ZREM', DEFERRED .. queue, id)
    local fine, execution = pcall(take, queue, id, true)
    if fine and execution then
      note_claim(queue, id, execution, fn)
      taken = taken + 1
    end
  end
  forget_empty(fn, queue)
  return taken
end

-- On a queue with limited functions: those that were held come first, since they came before what is in the queue.
local function claim_within(queue, wanted, limits)
  local rooms, sum = rooms_of(limits.limits, wanted)
  if not limits.others then wanted = math.min(wanted, sum) end
  local taken, looked_at = 0, 0
  for fn in pairs(rooms) do
    local room = math.min(rooms[fn], wanted - taken)
    if room > 0 and is_holding(fn, queue) then
      local number = claim_held(queue, fn, room)
      taken, rooms[fn] = taken + number, rooms[fn] - number
    end
  end
  while taken < wanted and looked_at < wanted + 500 do
    local id = redis.call('LPOP', QUEUE .. queue)
    if not id then break end
    looked_at = looked_at + 1
    local readable, job = pcall(redis.call, 'HMGET', JOB .. id, 'call', 'status')
    local fn = readable and function_of(job[1])
    if not rooms[fn or ''] then fn = nil end
    if fn and rooms[fn] == 0 then
      hold(queue, id, fn, job[2])
    else
      local fine, execution = pcall(take, queue, id)
      if fine and execution then
        note_claim(queue, id, execution, fn)
        taken = taken + 1
        if fn then rooms[fn] = rooms[fn] - 1 end
      end
    end
  end
  -- What was only looked at and held is not a reason to come again at once, but that there is more is.
  return taken, wanted > 0 and (taken == wanted or looked_at == wanted + 500)
end

local function write_claims(queue)
  if #entries == 0 then return end
  -- A claim at a time is at most a few dozen jobs, so these may be unpacked.
  redis.call('ZADD', WIP .. queue, unpack(started))
  redis.call('ZADD', LEASES, unpack(leased))
  redis.call('SADD', CLAIMS .. worker, unpack(entries))
end

local function claim_from(queue, wanted, limits)
  started, leased, entries = {}, {}, {}
  -- A queue whose key is not a list is skipped.
  local fine, used, is_more = pcall(limits and claim_within or claim_any, queue, wanted, limits)
  write_claims(queue)
  return fine and used or 0, fine and is_more
end

-- What ran in a process that died, one at a time. Those over their function's limit go to the list's end.
local function claim_alone(limits)
  for _ = 1, math.min(redis.call('LLEN', ALONE), 100) do
    local member = redis.call('LPOP', ALONE)
    local id, queue = string.match(member, '^([^:]*):(.*)$')
    local readable, job = pcall(redis.call, 'HMGET', JOB .. (id or ''), 'call', 'status')
    local fn = readable and function_of(job[1])
    if not limits[fn or ''] then fn = nil end
    if fn and job[2] == 'deferred' and rooms_of({[fn] = limits[fn]}, 1)[fn] == 0 then
      redis.call('RPUSH', ALONE, member)
    elseif id then
      redis.call('ZREM', DEFERRED .. queue, id)
      started, leased, entries = {}, {}, {}
      local fine, execution = pcall(take, queue, id, true)
      if fine and execution then
        note_claim(queue, id, execution, fn)
        write_claims(queue)
        return true
      end
    end
  end
  return redis.call('EXISTS', ALONE) == 1
end

local NO_SUFFIXES = {''}
local function claim(item)
  local queue, left, is_more = item.queue, tonumber(item.wanted), false
  local readable, limits = pcall(cjson.decode, item.limits)
  if queue == ALONE then
    if claim_alone(readable and limits.limits or {}) then more[#more + 1] = queue end
    return
  end
  local is_callbacks = queue == CALLBACKS or string.sub(queue, 1, #CALLBACKS + 1) == CALLBACKS .. ':'
  for _, suffix in ipairs(is_callbacks and NO_SUFFIXES or PRIORITY_SUFFIXES) do
    local used, has_more = claim_from(queue .. suffix, left, readable and limits)
    left, is_more = left - used, is_more or has_more
    if left <= 0 then break end
  end
  if is_more then more[#more + 1] = queue end
end

each(claim)
if #claims > 0 then redis.call('EXPIRE', CLAIMS .. worker, 86400) end
write_tally()
return {claims, more}
