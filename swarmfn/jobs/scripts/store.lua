#!lua flags=allow-oom
-- A plain SET, also in a Redis whose memory is full: for what calls need to come to their end.
--
-- keys: none
-- arguments: key, value, expires, channel
-- meaning: expires: seconds until it does (0: never); channel: where to publish the value ('': nowhere)
-- reply: 1

if expires == '0' then
  redis.call('SET', key, value)
else
  redis.call('SET', key, value, 'EX', expires)
end
if channel ~= '' then redis.call('PUBLISH', channel, value) end
return 1
