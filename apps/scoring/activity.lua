-- Recent activity: read what is known of each party, then add the present transaction. One call a request.
-- KEYS one per (transaction, party)   ARGV 1 events kept   2 life in s   3 "1" = add, "0" = only read
--      4… one packed event (32 bytes) per key
-- Answer: per key the packed events before this one, oldest first, at most as many as are kept.
local kept, life, add = tonumber(ARGV[1]) * 32, ARGV[2], ARGV[3] == '1'
local answer = {}
for i, key in ipairs(KEYS) do
  answer[i] = redis.call('GETRANGE', key, -kept, -1)
  if add then
    local event = ARGV[i + 3]
    if redis.call('APPEND', key, event) > 2 * kept then
      redis.call('SET', key, string.sub(answer[i], 32 - kept) .. event)
    end
    redis.call('EXPIRE', key, life)
  end
end
return answer
