#!lua flags=allow-oom
-- Takes calls away because an operator asked for it.
--
-- prelude: each, tally, letters, held, reading
-- keys: rq:canceled:, rq:failed:, rq:finished:, rq:job:, rq:queue:, rq:results:, rq:scheduled:, swarmfn:bodies,
--   swarmfn:body:, swarmfn:due, swarmfn:response:
-- items: id, status
-- meaning: status: the one it must have ('': any; `queued` stands for those that are held back too)
-- reply: for each id `purged`, or why not: `running`, `changed` (it has another status by now), `unknown`; or an
--   error's text

local registry = {failed = 'rq:failed:', finished = 'rq:finished:', canceled = 'rq:canceled:'}
local leave = {
  queued = function(id, queue) redis.call('LREM', 'rq:queue:' .. queue, 1, id) end,
  deferred = function(id, queue, fn) drop_held(id, fn, queue) end,
  scheduled = function(id, queue)
    redis.call('ZREM', 'rq:scheduled:' .. queue, id)
    redis.call('ZREM', 'swarmfn:due', id .. ':' .. queue)
  end,
}
local function count_out(id, job)
  if leave[job.status] then
    if job.to then count('undelivered:' .. job.fn) else count_call('purged', job) end
    tell_parent(job, id, 'failed, purged')
    -- Final before, queued again by hand, and not yet claimed: that is counted here instead.
    if job.state and not job.to then count_call('redriven', job) end
  elseif not job.to then
    count_call('forgotten', job)
  end
end
local function purge(item)
  local id, wanted = item.id, item.status
  local job = read(id)
  if not job then return 'unknown' end
  -- Cancelled through RQ, it runs until its worker hears of it, who then counts it.
  if job.status == 'started' or job.execution then return 'running' end
  local is_so = wanted == '' or wanted == job.status or wanted == 'queued' and job.status == 'deferred'
  if not is_so then return 'changed' end
  if leave[job.status] then leave[job.status](id, job.queue, job.fn) end
  if registry[job.status] then redis.call('ZREM', registry[job.status] .. job.queue, id) end
  if job.state then drop_letter(letter_of(job.state, job.call, job.queue), id) end
  redis.call('DEL', 'rq:job:' .. id, 'rq:results:' .. id, 'swarmfn:body:' .. id, 'swarmfn:response:' .. id)
  redis.call('SREM', 'swarmfn:bodies', id)
  count_out(id, job)
  return 'purged'
end
each(purge)
write_tally()
return replies
