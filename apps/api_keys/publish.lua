-- Cache a key document, unless the key changed since the caller read its nonce: a slow loader can't undo a revocation.
-- KEYS 1 key document   ARGV 1 the nonce read   2 life in ms ("0" = for ever)   3 its end, ms since 1970 ("0" = none)
--      4… field, value, field, value
local nonce = redis.call('HGET', KEYS[1], 'nonce') or ''
if nonce ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'nonce', nonce, unpack(ARGV, 4))
if ARGV[2] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if ARGV[3] ~= '0' then redis.call('PEXPIREAT', KEYS[1], ARGV[3]) end
return 1
