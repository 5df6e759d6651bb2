-- Forget pointers of transaction ids at decisions that never came to be.
-- KEYS  a pointer a row   ARGV  per row: what it says, body hash and decision id
-- Answer: how many were forgotten. A pointer that says something else stays.

local forgotten = 0
for i = 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[i] then forgotten = forgotten + redis.call('DEL', KEYS[i]) end
end
return forgotten
