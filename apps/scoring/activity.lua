-- Recent activity, riding with the gate's call: read what is known of each party, then add the present transaction.
-- KEYS from `first`: one per (transaction, party)
-- ARGV from `first`: 1 events kept   2 life in s   3 "1" = add, "0" = only read   4… one packed event (32 bytes) per key
-- Answer (`ridden`): per key the packed events before this one, oldest first, at most as many as are kept.
ridden = {}
local kept, life, add = tonumber(ARGV[first]) * 32, ARGV[first + 1], ARGV[first + 2] == '1'
for i = first, #KEYS do
  local key, event = KEYS[i], ARGV[i + 3]
  local past = call('GETRANGE', key, -kept, -1)
  if add then
    if call('APPEND', key, event) > 2 * kept then call('SET', key, string.sub(past, 32 - kept) .. event) end
    call('EXPIRE', key, life)
  end
  ridden[i - first + 1] = past
end
