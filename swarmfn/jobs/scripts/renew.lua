#!lua flags=allow-oom
-- Prolongs the leases that are still there; one that was handed back is not made again.
--
-- prelude: now
-- keys: CLAIMS, JOB, LEASES
-- arguments: worker, lease
-- list: entries
-- meaning: lease: seconds
-- reply: the entries whose runs are to stop: those whose lease was gone, and the cancelled ones

local function renew(entry)
  -- Cancelled through RQ, which knows nothing of leases: this one may lapse.
  if redis.pcall('HGET', JOB .. string.match(entry, '^[^:]*'), 'status') == 'canceled' then return false end
  return redis.call('ZADD', LEASES, 'XX', 'CH', now + lease, entry) == 1
    or redis.call('ZSCORE', LEASES, entry)
end
local lost = {}
for _, entry in ipairs(entries) do
  if not renew(entry) then lost[#lost + 1] = entry end
end
redis.call('EXPIRE', CLAIMS .. worker, 86400)
return lost
