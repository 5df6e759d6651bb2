-- Undo an admission: give the units back and let the Idempotency-Key's claim go, if it is still ours.
-- KEYS 1 quota of the month   2 claim   ARGV 1 units   2 claim we hold ("" = none)
if tonumber(ARGV[1]) > 0 then redis.call('DECRBY', KEYS[1], ARGV[1]) end
if ARGV[2] ~= '' and redis.call('GET', KEYS[2]) == ARGV[2] then redis.call('DEL', KEYS[2]) end
return 1
