#!lua flags=allow-oom
-- A plain SET, also in a Redis whose memory is full: for what calls need to come to their end.
--
-- keys: those it is given
-- arguments: key, value, seconds until it expires (0: never), channel to publish the value on ('': none)
-- reply: 1

if ARGV[3] == '0' then
  redis.call('SET', ARGV[1], ARGV[2])
else
  redis.call('SET', ARGV[1], ARGV[2], 'EX', ARGV[3])
end
if ARGV[4] ~= '' then redis.call('PUBLISH', ARGV[4], ARGV[2]) end
return 1
