-- Mark a transaction's event as refused in the pasts of its parties: what was blocked makes no habit.
-- KEYS one per (transaction, party) and past   ARGV per key: the event's transaction, 8 bytes; the flags that mark it
-- EVENT_BYTES is put in; 17 to 24 is an event's transaction, FLAGS_AT where its flags begin. An event that is not there
-- (any more) is not missed.
for i = 1, #KEYS do
  local past, id = redis.call('GETRANGE', KEYS[i], 0, -1), ARGV[2 * i - 1]
  local known = string.find(past, id, 1, true)
  while known and (known - 17) % EVENT_BYTES ~= 0 do known = string.find(past, id, known + 1, true) end
  if known then redis.call('SETRANGE', KEYS[i], known - 17 + FLAGS_AT, ARGV[2 * i]) end
end
