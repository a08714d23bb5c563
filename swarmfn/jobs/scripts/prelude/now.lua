-- What time it is by Redis's own clock, so that the clocks of several nodes need not agree.
--
-- gives: now, Unix seconds with a fraction

local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6
