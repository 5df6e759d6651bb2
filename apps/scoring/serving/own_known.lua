-- What labels say of each party: a fraud is known from a second on, or is none after all. Harmless when repeated.
-- KEYS one per (transaction, party)   ARGV per key: the transaction, 8 bytes; the second ('' = it is no fraud); life in s
-- KNOWN_BYTES, KEPT_SECONDS and MOST_KNOWN (in bytes) are put in; an entry is the transaction, then the second.
local number = struct.unpack
for i = 1, #KEYS do
  local at = 3 * (i - 1)
  local past, id, second = redis.call('HGET', KEYS[i], 'known') or '', ARGV[at + 1], tonumber(ARGV[at + 2])
  for place = #past - KNOWN_BYTES, 0, -KNOWN_BYTES do
    if string.sub(past, place + 1, place + 8) == id then
      if second then second = math.min(second, (number('<I4', past, place + 9))) end  -- said again: known since the first
      past = string.sub(past, 1, place) .. string.sub(past, place + KNOWN_BYTES + 1)
    end
  end
  if second then
    local place = #past
    while place > 0 and number('<I4', past, place - 3) > second do place = place - KNOWN_BYTES end
    past = string.sub(past, 1, place) .. id .. struct.pack('<I4', second) .. string.sub(past, place + 1)
    local oldest, old = number('<I4', past, #past - 3) - KEPT_SECONDS, math.max(0, #past - MOST_KNOWN)
    while number('<I4', past, old + 9) <= oldest do old = old + KNOWN_BYTES end
    past = string.sub(past, old + 1)
  end
  if past ~= '' then
    redis.call('HSET', KEYS[i], 'known', past)
    redis.call('EXPIRE', KEYS[i], ARGV[at + 3])
  else
    redis.call('HDEL', KEYS[i], 'known')
  end
end
