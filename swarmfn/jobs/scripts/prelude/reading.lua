-- What steers looks at a whole job first.
--
-- prelude: tally
-- keys: JOB
-- gives: read(id), is_pending, count_call(event, job)

-- What a job is: status, state, origin, size of a large body, its call, the call as a table, and its execution while a
-- worker has it.
local function read(id)
  local job = redis.pcall('HMGET', JOB .. id, 'status', 'state', 'origin', 'large', 'call', 'execution')
  if job.err or not job[1] or not job[5] then return nil end
  local readable, document = pcall(cjson.decode, job[5])
  if not readable or type(document) ~= 'table' or type(document.fn) ~= 'string' then return nil end
  return {status = job[1], state = job[2], queue = job[3] or '', large = job[4], call = job[5], fn = document.fn,
    to = document.to, of = document.of, execution = job[6]}
end
local is_pending = {queued = true, scheduled = true, started = true, deferred = true}
local function count_call(event, job) count(event .. ':' .. job.fn .. ':' .. job.queue) end
