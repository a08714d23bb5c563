"""Taking calls off their queues."""

from __future__ import annotations

from swarmfn.jobs.scripts.script import EVEN_WHEN_FULL, NOW, TALLY, Script

CLAIM = Script(
    EVEN_WHEN_FULL
    + NOW
    + TALLY
    + """
-- Shared: worker, execution prefix, lease seconds, now, data. Items: queue, how many.
local claims, more = {}, {}
if redis.call('EXISTS', 'rq:suspended') == 1 then return {claims, more} end

-- A job with one of these states was run, cancelled or claimed meanwhile, and its id is in the list once too often.
local not_waiting = {started = true, finished = true, failed = true, canceled = true, stopped = true,
  scheduled = true, deferred = true}

local function fields(id)
  return redis.call('HMGET', 'rq:job:' .. id, 'status', 'state', 'data', 'call', 'body', 'large', 'failures',
    'attempts', 'execution')
end

local function is_running(id, execution, queue)
  return execution and redis.call('ZSCORE', 'swarmfn:leases', id .. ':' .. execution .. ':' .. queue)
end

local function begin_anew(key, id, job)
  -- Final before, and queued again by hand (rq-dashboard, rq requeue): its attempts begin anew.
  redis.call('HDEL', key, 'state', 'ended_at', 'failures', 'attempts', 'interruptions', 'response', 'answer',
    'large_answer', 'callback', 'delivery')
  redis.call('DEL', 'swarmfn:response:' .. id)
  redis.call('PERSIST', key)
  redis.call('PERSIST', 'swarmfn:body:' .. id)
  local fn = function_of(job[4])
  if fn then count('redriven:' .. fn) end
  job[7], job[8] = false, false
end

local function repair(key, queue, job)
  -- Without these fields no tool of RQ's would show it.
  redis.call('HSET', key, 'data', ARGV[5], 'origin', queue, 'created_at', ARGV[4])
end

local function take(queue, id)
  if not string.match(id, '^[%w_-]+$') then
    count('unreadable:' .. queue) -- RQ refuses such ids, so nobody could look at it
    return
  end
  local key = 'rq:job:' .. id
  local fine, job = pcall(fields, id)
  if not fine then
    -- No hash: moved away, and what takes its place is seen to fail.
    redis.call('RENAME', key, 'swarmfn:set-aside:' .. id)
    redis.call('EXPIRE', 'swarmfn:set-aside:' .. id, 604800)
    job = {'queued'}
  elseif not job[1] and redis.call('EXISTS', key) == 0 then
    return -- deleted: ids stay in the list for a while
  end
  if job[1] and not_waiting[job[1]] then return end
  if is_running(id, job[9], queue) then
    redis.call('HSET', key, 'status', 'started') -- queued again by hand while it runs
    return
  end
  if job[2] == 'succeeded' then
    redis.call('HSET', key, 'status', 'finished') -- its body is gone, it cannot run again
    return
  end
  if job[2] then begin_anew(key, id, job) end
  if not job[3] then repair(key, queue, job) end
  local execution = ARGV[2] .. (#claims + 1)
  redis.call('HSET', key, 'status', 'started', 'started_at', ARGV[4], 'last_heartbeat', ARGV[4],
    'worker_name', ARGV[1], 'execution', execution)
  claims[#claims + 1] = {id, execution, queue, job[3] or '', job[4] or '', job[5] or '', job[6] or '',
    job[7] or '0', job[8] or ''}
  return execution
end

local function claim(i)
  local queue, wanted = ARGV[i], tonumber(ARGV[i+1])
  local ids = redis.call('LPOP', 'rq:queue:' .. queue, wanted) or {}
  -- A claim at a time is at most a few dozen jobs, so these may be unpacked.
  local started, leased, entries = {}, {}, {}
  for _, id in ipairs(ids) do
    local fine, execution = pcall(take, queue, id)
    if fine and execution then
      local entry = id .. ':' .. execution
      -- RQ's own cleanup would FAIL entries whose score has passed; the true lease is in swarmfn:leases.
      started[#started + 1], started[#started + 2] = '+inf', entry
      entry = entry .. ':' .. queue
      leased[#leased + 1], leased[#leased + 2] = now + ARGV[3], entry
      entries[#entries + 1] = entry
    end
  end
  if #entries > 0 then
    redis.call('ZADD', 'rq:wip:' .. queue, unpack(started))
    redis.call('ZADD', 'swarmfn:leases', unpack(leased))
    redis.call('SADD', 'swarmfn:claims:' .. ARGV[1], unpack(entries))
  end
  if #ids == wanted then more[#more + 1] = queue end
end

-- A queue whose key is no list is passed over.
for i = 6, #ARGV, 2 do pcall(claim, i) end
if #claims > 0 then redis.call('EXPIRE', 'swarmfn:claims:' .. ARGV[1], 86400) end
write_tally()
return {claims, more}
"""
)
"""→ the claims (for each: id, execution, queue, data, call, body, large, failures, attempts), and the queues that may
hold more."""
