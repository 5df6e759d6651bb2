-- Reserve units of a month for a chunk of a batch, once however often it is asked for: a killed worker's chunk finds what
-- was reserved for it. As many as are left are given when all are too many.
-- KEYS  1 quota of the month   2 reservations of the month, id → units
-- ARGV  1 id   2 units wanted   3 units the month may reach   4 life of the reservations in s
-- Answer: units reserved for the id in all; nothing when the month's counter is missing.

local used = tonumber(redis.call('GET', KEYS[1]) or '')
if not used then return nil end
local reserved = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0)
local more = math.min(tonumber(ARGV[2]) - reserved, tonumber(ARGV[3]) - used)
if more > 0 then
  redis.call('INCRBY', KEYS[1], more)
  reserved = reserved + more
  redis.call('HSET', KEYS[2], ARGV[1], reserved)
  redis.call('EXPIRE', KEYS[2], ARGV[4])
end
return reserved
