-- Tell a list of one change: the items that came and those that went, after the change before it and never before.
-- KEYS 1 the list   ARGV 1 the version before   2 the version now   3 the header, which begins with it   4 how many went   5… they
--      … token, until when (µs since 1970, "" without an end) of each that came
-- Answer: 1 done, 2 it knows more already, 0 it is not there, -1 a change before this one is still on its way
local call = redis.call
local header = call('HGET', KEYS[1], 'h')
if not header then return 0 end
local version = tonumber(string.match(header, '^%d+'))
if version >= tonumber(ARGV[2]) then return 2 end
if version < tonumber(ARGV[1]) then return -1 end
local went = tonumber(ARGV[4])
for i = 5, 4 + went, 4000 do
  call('HDEL', KEYS[1], unpack(ARGV, i, math.min(i + 3999, 4 + went)))
end
for i = 5 + went, #ARGV, 4000 do
  call('HSET', KEYS[1], unpack(ARGV, i, math.min(i + 3999, #ARGV)))
end
call('HSET', KEYS[1], 'h', ARGV[3])
return 1
