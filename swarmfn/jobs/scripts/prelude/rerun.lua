-- Running a job again whose last run has ended: nothing of that is left.
--
-- prelude: dead_letters
-- keys: BODY, JOB, RESPONSE
-- constants: RUN_FIELDS
-- gives: forget_last_run(id, state, call, queue); state: '' or false when RQ itself has failed it

local function forget_last_run(id, state, call, queue)
  redis.call('HDEL', JOB .. id, unpack(RUN_FIELDS))
  redis.call('DEL', RESPONSE .. id)
  redis.call('PERSIST', JOB .. id)
  redis.call('PERSIST', BODY .. id)
  if state then drop_dead_letter(kind_of(state, call, queue), id) end
end
