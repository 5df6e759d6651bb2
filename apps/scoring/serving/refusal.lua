-- Mark a transaction's event as refused in the pasts of its parties: what was blocked makes no habit.
-- KEYS one per (transaction, party) and past   ARGV per key: the event's transaction, 8 bytes; the flags that mark it
-- They stand from `first_key` and `first_argument` on: it also rides in the journal's call.
-- EVENT_BYTES is put in; 17 to 24 is an event's transaction, FLAGS_AT where its flags begin. An event that is not there
-- (any more) is not missed.
for i = 0, #KEYS - first_key do
  local key, id, flags = KEYS[first_key + i], ARGV[first_argument + 2 * i], ARGV[first_argument + 2 * i + 1]
  local past = redis.call('GETRANGE', key, 0, -1)
  local known = string.find(past, id, 1, true)
  while known and (known - 17) % EVENT_BYTES ~= 0 do known = string.find(past, id, known + 1, true) end
  if known then redis.call('SETRANGE', key, known - 17 + FLAGS_AT, flags) end
end
