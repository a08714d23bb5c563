#!lua flags=allow-oom
-- Takes calls away because an operator asked for it.
--
-- prelude: each, tally, dead_letters, held, parents, reading
-- keys: BODIES, BODY, CANCELED, DUE, FAILED, FINISHED, JOB, QUEUE, RESPONSE, RESULTS, SCHEDULED
-- items: id, status
-- meaning: status: the one it must have ('': any; `queued` stands for those that are held back too)
-- reply: for each id `purged`, or why not: `running`, `changed` (it has another status by now), `unknown`; or an
--   error's text

local registry = {failed = FAILED, finished = FINISHED, canceled = CANCELED}
local leave = {
  queued = function(id, queue) redis.call('LREM', QUEUE .. queue, 1, id) end,
  deferred = function(id, queue, fn) drop_held(id, fn, queue) end,
  scheduled = function(id, queue)
    redis.call('ZREM', SCHEDULED .. queue, id)
    redis.call('ZREM', DUE, id .. ':' .. queue)
  end,
}
local function count_out(id, job)
  if leave[job.status] then
    if job.to then count('undelivered:' .. job.fn) else count_call('purged', job) end
    tell_parent(job.of, id, 'failed, purged')
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
  if job.state then drop_dead_letter(kind_of(job.state, job.call, job.queue), id) end
  redis.call('DEL', JOB .. id, RESULTS .. id, BODY .. id, RESPONSE .. id)
  redis.call('SREM', BODIES, id)
  count_out(id, job)
  return 'purged'
end
each(purge)
write_tally()
return replies
