-- Put what Postgres tells of parties among what is kept. Harmless when repeated.
-- KEYS one per party   ARGV per key: its buckets, its known frauds, its life in s
-- BUCKET_BYTES, KNOWN_BYTES and MOST_KNOWN (in bytes) are put in. Of a bucket both know the one with more decisions stays,
-- and of a fraud that was marked meanwhile what is kept: some came while this was made.
local number = struct.unpack
local function cut(past, place) return string.sub(past, place + 1, place + BUCKET_BYTES) end
local function together(told, kept)
  if kept == '' then return told end
  local known, found, one, other = {}, {}, 1, 1
  for place = 1, #kept, KNOWN_BYTES do known[string.sub(kept, place, place + 7)] = true end
  while one <= #told or other <= #kept do
    local a = one <= #told and number('<I4', told, one + 8) or math.huge
    local b = other <= #kept and number('<I4', kept, other + 8) or math.huge
    if a <= b then
      local entry = string.sub(told, one, one + KNOWN_BYTES - 1)
      if not known[string.sub(entry, 1, 8)] then found[#found + 1] = entry end
      one = one + KNOWN_BYTES
    else
      found[#found + 1] = string.sub(kept, other, other + KNOWN_BYTES - 1)
      other = other + KNOWN_BYTES
    end
  end
  return string.sub(table.concat(found), -MOST_KNOWN)
end
for i = 1, #KEYS do
  local past = redis.call('HMGET', KEYS[i], 'buckets', 'known')
  local told, kept, merged, one, other = ARGV[3 * i - 2], past[1] or '', {}, 0, 0
  while one < #told or other < #kept do
    local a = one < #told and number('<I4', told, one + 1) or math.huge
    local b = other < #kept and number('<I4', kept, other + 1) or math.huge
    local mine = a < b or (a == b and number('<I4', told, one + 5) >= number('<I4', kept, other + 5))
    merged[#merged + 1] = mine and cut(told, one) or cut(kept, other)
    if a <= b then one = one + BUCKET_BYTES end
    if b <= a then other = other + BUCKET_BYTES end
  end
  redis.call('HSET', KEYS[i], 'buckets', table.concat(merged), 'known', together(ARGV[3 * i - 1], past[2] or ''))
  redis.call('EXPIRE', KEYS[i], ARGV[3 * i])
end
