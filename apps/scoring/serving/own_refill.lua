-- Put what Postgres tells of parties in place of what is kept, where it tells more. Harmless when repeated.
-- KEYS one per party   ARGV per key: its buckets, its known frauds, its life in s
-- BUCKET_BYTES is put in. Of a bucket both know the one with more decisions stays: some came while this was made.
local number = struct.unpack
local function cut(past, place) return string.sub(past, place + 1, place + BUCKET_BYTES) end
for i = 1, #KEYS do
  local told, kept, merged, one, other = ARGV[3 * i - 2], redis.call('HGET', KEYS[i], 'buckets') or '', {}, 0, 0
  while one < #told or other < #kept do
    local a = one < #told and number('<I4', told, one + 1) or math.huge
    local b = other < #kept and number('<I4', kept, other + 1) or math.huge
    local mine = a < b or (a == b and number('<I4', told, one + 5) >= number('<I4', kept, other + 5))
    merged[#merged + 1] = mine and cut(told, one) or cut(kept, other)
    if a <= b then one = one + BUCKET_BYTES end
    if b <= a then other = other + BUCKET_BYTES end
  end
  redis.call('HSET', KEYS[i], 'buckets', table.concat(merged), 'known', ARGV[3 * i - 1])
  redis.call('EXPIRE', KEYS[i], ARGV[3 * i])
end
