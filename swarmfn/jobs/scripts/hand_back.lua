#!lua flags=allow-oom
-- Puts claims of one worker back at the head of their queues; those of one that has died wait to be run alone instead.
-- Which of them it died of nobody can tell, unless there was but one.
--
-- prelude: now, tally, queueing, release, putting_back
-- keys: CLAIMS, LEASES
-- arguments: worker, moment
-- list: entries
-- meaning: moment: now in RQ's form; entries: none of them means everything the worker has claimed, because it has died
-- reply: how many were put back

local claims = CLAIMS .. worker
local has_died = #entries == 0
if has_died then entries = redis.call('SMEMBERS', claims) end
local function fate_of() return has_died, has_died and #entries == 1 end
local returned, done = put_all_back(entries, moment, fate_of)
write_releases()
-- The lease of what is left lapses.
for _, entry in ipairs(done) do
  redis.call('SREM', claims, entry)
  redis.call('ZREM', LEASES, entry)
end
write_tally()
wake()
return returned
