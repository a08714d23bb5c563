"""Running again, or taking away, because an operator asked for it."""

from __future__ import annotations

from swarmfn.jobs.scripts.script import EACH, EVEN_WHEN_FULL, LETTERS, QUEUEING, TALLY, Script

_READ = """
-- What a job is: status, state, origin, size of a large body, its call, the call as a table.
local function read(id)
  local job = redis.pcall('HMGET', 'rq:job:' .. id, 'status', 'state', 'origin', 'large', 'call')
  if job.err or not job[1] or not job[5] then return nil end
  local readable, document = pcall(cjson.decode, job[5])
  if not readable or type(document) ~= 'table' or type(document.fn) ~= 'string' then return nil end
  return {status = job[1], state = job[2], queue = job[3] or '', large = job[4], call = job[5], fn = document.fn,
    to = document.to, of = document.of}
end
local is_pending = {queued = true, scheduled = true, started = true, deferred = true}
local function count_call(event, job) count(event .. ':' .. job.fn .. ':' .. job.queue) end
local function tell_parent(job, id, note)
  if type(job.of) == 'string' and redis.pcall('HGET', 'rq:job:' .. job.of, 'delivery') == id then
    redis.call('HSET', 'rq:job:' .. job.of, 'callback', note)
  end
end
"""

REDRIVE = Script(
    EACH
    + TALLY
    + LETTERS
    + QUEUEING
    + _READ
    + """
-- Shared: now. Items: id.
local function redrive(i)
  local id = ARGV[i]
  local key, job = 'rq:job:' .. id, read(id)
  if not job then return 'unknown' end
  if is_pending[job.status] then return 'pending' end
  if job.status ~= 'failed' then return 'ended' end
  if job.large and redis.call('EXISTS', 'swarmfn:body:' .. id) == 0 then return 'bodyless' end
  -- First of the writes, because it can be refused: the memory is full, or the queue's key is no list.
  enqueue(job.queue, id)
  redis.call('ZREM', 'rq:failed:' .. job.queue, id)
  redis.call('HDEL', key, 'state', 'ended_at', 'failures', 'attempts', 'interruptions', 'response', 'answer',
    'large_answer', 'callback', 'delivery', 'expires')
  redis.call('DEL', 'swarmfn:response:' .. id)
  redis.call('PERSIST', key)
  redis.call('PERSIST', 'swarmfn:body:' .. id)
  redis.call('HSET', key, 'status', 'queued', 'enqueued_at', ARGV[1])
  -- Without a state RQ has failed it past us: its end was not counted, so this is no new beginning.
  if job.state then
    drop_letter(letter_of(job.state, job.call, job.queue), id)
    if job.to then count('redelivered:' .. job.fn) else count_call('redriven', job) end
  end
  tell_parent(job, id, 'queued')
  return 'redriven'
end
each(2, 1, redrive)
write_tally()
wake()
return replies
"""
)
"""→ for each id `redriven`, or why not: `pending` (it waits or runs), `ended` (well, or cancelled), `bodyless` (what it
was sent is no longer stored), `unknown`; or an error's text."""

PURGE = Script(
    EVEN_WHEN_FULL
    + EACH
    + TALLY
    + LETTERS
    + _READ
    + """
-- Items (2): id, the status it must have ('': any).
local registry = {failed = 'rq:failed:', finished = 'rq:finished:', canceled = 'rq:canceled:'}
local leave = {
  queued = function(id, queue) redis.call('LREM', 'rq:queue:' .. queue, 1, id) end,
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
local function purge(i)
  local id = ARGV[i]
  local job = read(id)
  if not job then return 'unknown' end
  if job.status == 'started' then return 'running' end
  if ARGV[i+1] ~= '' and ARGV[i+1] ~= job.status then return 'changed' end
  if leave[job.status] then leave[job.status](id, job.queue) end
  if registry[job.status] then redis.call('ZREM', registry[job.status] .. job.queue, id) end
  if job.state then drop_letter(letter_of(job.state, job.call, job.queue), id) end
  redis.call('DEL', 'rq:job:' .. id, 'rq:results:' .. id, 'swarmfn:body:' .. id, 'swarmfn:response:' .. id)
  redis.call('SREM', 'swarmfn:bodies', id)
  count_out(id, job)
  return 'purged'
end
each(1, 2, purge)
write_tally()
return replies
"""
)
"""→ for each id `purged`, or why not: `running`, `changed` (it has another status by now), `unknown`; or an error's
text."""
