-- What own models know of each party: read it, then add decisions to the bucket of their event time. The rules are those
-- of engine/own_past.py; a test holds the two together. By itself, or riding with the gate's call behind lists.lua.
-- KEYS from `own`: one per (transaction, party)
-- ARGV from `told`, per key: decisions to add (0 = only read), the bucket, the hundredths of all of them, its life in s,
--      the number of the transaction it is added for (0 = of none the gate speaks of)
-- BUCKET_BYTES and KEPT_BUCKETS are put in. Answer (`ridden`), behind what is there: per key its buckets and its known
-- frauds as they were before.
local pack = struct.pack
for i = own, #KEYS do
  local at, row = told + 5 * (i - own), tonumber(ARGV[told + 5 * (i - own) + 4])
  local kept, verdict = call('HMGET', KEYS[i], 'buckets', 'known'), row > 0 and answer[rows + row] or ''
  local past = kept[1] or ''
  ridden[#ridden + 1] = past
  ridden[#ridden + 1] = kept[2] or ''
  local added = tonumber(ARGV[at])
  if added > 0 and string.sub(verdict, 1, 1) ~= 'D' then  -- a duplicate changes nothing
    local bucket, hundredths, size = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), #past
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
      call('HSET', KEYS[i], 'buckets', string.sub(past, old + 1))
      call('EXPIRE', KEYS[i], ARGV[at + 3])
    end
  end
end
