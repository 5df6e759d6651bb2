-- What own models know of each party: read it, then add the present decision to the bucket of its event time.
-- The rules are those of engine/own_past.py; a test holds the two together.
-- KEYS one per (transaction, party)   ARGV per key: decisions to add (0 = only read), the bucket, the hundredths of all of
-- them, its life in s
-- BUCKET_BYTES and KEPT_BUCKETS are put in. Answer: per key its buckets and its known frauds as they were before.
local answer, number, pack = {}, struct.unpack, struct.pack
for i = 1, #KEYS do
  local at = 4 * (i - 1)
  local kept = redis.call('HMGET', KEYS[i], 'buckets', 'known')
  local past = kept[1] or ''
  answer[2 * i - 1], answer[2 * i] = past, kept[2] or ''
  local added = tonumber(ARGV[at + 1])
  if added > 0 then
    local bucket, hundredths, size = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), #past
    local place = size
    while place > 0 and number('<I4', past, place - BUCKET_BYTES + 1) > bucket do place = place - BUCKET_BYTES end
    local newest = size > 0 and math.max(bucket, (number('<I4', past, size - BUCKET_BYTES + 1))) or bucket
    if bucket > newest - KEPT_BUCKETS then
      local before, decisions = place, 0
      if place > 0 and number('<I4', past, place - BUCKET_BYTES + 1) == bucket then
        before = place - BUCKET_BYTES
        local _, known, sum = number('<I4I4d', past, before + 1)
        decisions, hundredths = known, sum + hundredths
      end
      past = string.sub(past, 1, before) .. pack('<I4I4d', bucket, decisions + added, hundredths) .. string.sub(past, place + 1)
      local old = 0
      while number('<I4', past, old + 1) <= newest - KEPT_BUCKETS do old = old + BUCKET_BYTES end
      redis.call('HSET', KEYS[i], 'buckets', string.sub(past, old + 1))
      redis.call('EXPIRE', KEYS[i], ARGV[at + 4])
    end
  end
end
return answer
