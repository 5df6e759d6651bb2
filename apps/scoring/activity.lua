-- Recent activity, riding with the gate's call: read what is known of each party, then add the present transaction.
-- KEYS from `first`: one per (transaction, party)
-- ARGV from `first`: 1 bytes kept   2 "1" = add, "0" = only read   3… per key its life in s and one packed event
-- Answer (`ridden`): per key the packed events before this one, oldest first, at most as many as are kept.
ridden = {}
local kept, add = tonumber(ARGV[first]), ARGV[first + 1] == '1'
for i = first, #KEYS do
  local key, life, event = KEYS[i], ARGV[2 * i - first + 2], ARGV[2 * i - first + 3]
  local past = call('GETRANGE', key, -kept, -1)
  if add then
    if call('APPEND', key, event) > 2 * kept then call('SET', key, string.sub(past, #event - kept) .. event) end
    call('EXPIRE', key, life)
  end
  ridden[i - first + 1] = past
end
