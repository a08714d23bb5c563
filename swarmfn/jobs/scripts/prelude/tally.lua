-- Counting what happens; written all together at the end: write_tally() must follow.
--
-- keys: TOTALS
-- gives: count(counter), a field of TOTALS; write_tally(); function_of(call), the function of a call, nil
--   for a delivery and for what is neither

local tally = {}
local function count(counter) tally[counter] = (tally[counter] or 0) + 1 end
local function write_tally()
  for counter, number in pairs(tally) do redis.pcall('HINCRBY', TOTALS, counter, number) end
end
local function function_of(call)
  local readable, document = pcall(cjson.decode, call or '')
  if readable and type(document) == 'table' and type(document.fn) == 'string' and not document.to then
    return document.fn
  end
end
