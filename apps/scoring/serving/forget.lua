-- Take a transaction's events out of the pasts of its parties: whoever it was made by has asked to be forgotten.
-- KEYS one per (transaction, party) and past   ARGV per key: the event's transaction, 8 bytes
-- EVENT_BYTES is put in; 17 to 24 is an event's transaction. Answer: the events that were taken out.
local taken = 0
for i = 1, #KEYS do
  local past, id = redis.call('GETRANGE', KEYS[i], 0, -1), ARGV[i]
  local before = #past
  local known = string.find(past, id, 1, true)
  while known do
    if (known - 17) % EVENT_BYTES == 0 then
      past = string.sub(past, 1, known - 17) .. string.sub(past, known - 16 + EVENT_BYTES)
      known = string.find(past, id, known - 16, true)
    else
      known = string.find(past, id, known + 1, true)
    end
  end
  if #past == 0 and before > 0 then
    redis.call('DEL', KEYS[i])
  elseif #past < before then
    redis.call('SET', KEYS[i], past, 'KEEPTTL')
  end
  taken = taken + (before - #past) / EVENT_BYTES
end
return taken
