#!lua flags=allow-oom
-- Puts claims of one worker back at the head of their queues; those of one that has died wait to be run alone instead.
-- Which of them it died of nobody can tell, unless there was but one.
--
-- prelude: now, tally, queueing, release, putting_back
-- keys: swarmfn:claims:, swarmfn:leases
-- arguments: worker, now; items: entries. No item means everything the worker has claimed, because it has died
-- reply: how many were put back

local claims = 'swarmfn:claims:' .. ARGV[1]
local entries = {}
for i = 3, #ARGV do entries[#entries + 1] = ARGV[i] end
local has_died = #ARGV == 2
if has_died then entries = redis.call('SMEMBERS', claims) end
local function fate_of() return has_died, has_died and #entries == 1 end
local returned, done = put_all_back(entries, ARGV[2], fate_of)
write_releases()
-- The lease of what is left lapses.
for _, entry in ipairs(done) do
  redis.call('SREM', claims, entry)
  redis.call('ZREM', 'swarmfn:leases', entry)
end
write_tally()
wake()
return returned
