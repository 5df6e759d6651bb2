-- End a reservation: units that nobody pays are given back. Harmless when repeated.
-- KEYS  1 quota of the month   2 reservations of the month   ARGV  1 id   2 units billed

local reserved = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '')
if not reserved then return 0 end
local surplus = reserved - tonumber(ARGV[2])
if surplus ~= 0 and redis.call('EXISTS', KEYS[1]) == 1 then redis.call('DECRBY', KEYS[1], surplus) end
redis.call('HDEL', KEYS[2], ARGV[1])
return surplus
