-- Letting go of claims. An entry in LEASES and CLAIMS of its worker is id:execution:queue; RQ's registry has
-- id:execution. They are taken out all together at the end: write_releases() must follow.
--
-- prelude: tally
-- keys: CLAIMS, JOB, LEASES, WIP
-- gives: release(id, execution, queue, worker), write_releases(), still_holds(id, execution, queue, worker)

local gone = {}
local function forget(key, entry)
  local entries = gone[key]
  if not entries then
    entries = {}
    gone[key] = entries
  end
  entries[#entries + 1] = entry
end
local function release(id, execution, queue, worker)
  local entry = id .. ':' .. execution
  forget(WIP .. queue, entry)
  entry = entry .. ':' .. queue
  forget(LEASES, entry)
  forget(CLAIMS .. worker, entry)
end
local function write_releases()
  for key, entries in pairs(gone) do
    local remove = string.sub(key, 1, 15) == CLAIMS and 'SREM' or 'ZREM'
    for first = 1, #entries, 1000 do
      redis.pcall(remove, key, unpack(entries, first, math.min(first + 999, #entries)))
    end
  end
end
-- Whether the claim is still good, and whether its body is a large one.
local function still_holds(id, execution, queue, worker)
  local key = JOB .. id
  local job = redis.call('HMGET', key, 'execution', 'status', 'large')
  if job[1] == execution and job[2] ~= 'canceled' then return true, job[3] end
  -- Another worker has taken over, the job is gone, or it was cancelled through RQ: leave nothing of this claim.
  release(id, execution, queue, worker)
  if job[1] == execution then
    local fn = function_of(redis.call('HGET', key, 'call'))
    redis.call('HDEL', key, 'execution')
    if fn then count('cancelled:' .. fn .. ':' .. queue) end
  end
  return false
end
