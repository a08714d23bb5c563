-- Runs calls again because an operator asked for it.
--
-- prelude: each, tally, dead_letters, rerun, queueing, parents, reading
-- keys: BODY, FAILED, JOB
-- arguments: moment
-- items: id
-- meaning: moment: now in RQ's form
-- reply: for each id `redriven`, or why not: `pending` (it waits or runs), `ended` (well, or cancelled), `bodyless`
--   (what it was sent is no longer stored), `unknown`; or an error's text

local function redrive(item)
  local id = item.id
  local key, job = JOB .. id, read(id)
  if not job then return 'unknown' end
  if is_pending[job.status] then return 'pending' end
  if job.status ~= 'failed' then return 'ended' end
  if job.large and redis.call('EXISTS', BODY .. id) == 0 then return 'bodyless' end
  -- First of the writes, because it can be refused: the memory is full, or the queue's key is not a list.
  enqueue(job.queue, id)
  redis.call('ZREM', FAILED .. job.queue, id)
  forget_last_run(id, job.state, job.call, job.queue)
  redis.call('HSET', key, 'status', 'queued', 'enqueued_at', moment)
  -- Without a state RQ itself has failed it: its end was not counted, so its start is not counted either.
  if job.state then
    if job.to then count('redelivered:' .. job.fn) else count_call('redriven', job) end
  end
  tell_parent(job.of, id, 'queued')
  return 'redriven'
end
each(redrive)
write_tally()
wake()
return replies
