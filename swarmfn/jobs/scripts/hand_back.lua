#!lua flags=allow-oom
-- Puts claims of one worker back at the head of their queues.
--
-- prelude: tally, queueing, release, putting_back
-- keys: swarmfn:claims:, swarmfn:leases
-- arguments: worker, now; items: entries. No item means everything the worker has claimed, because it has died
-- reply: how many were put back

local claims = 'swarmfn:claims:' .. ARGV[1]
local entries = {}
for i = 3, #ARGV do entries[#entries + 1] = ARGV[i] end
local has_died = #ARGV == 2
if has_died then entries = redis.call('SMEMBERS', claims) end
local returned, done = put_all_back(entries, ARGV[2], has_died)
write_releases()
-- The lease of what is left lapses.
for _, entry in ipairs(done) do
  redis.call('SREM', claims, entry)
  redis.call('ZREM', 'swarmfn:leases', entry)
end
write_tally()
wake()
return returned
