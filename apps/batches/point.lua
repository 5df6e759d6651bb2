-- Point transaction ids at their decisions, as append.lua does for single calls.
-- KEYS  a pointer a row   ARGV  1 life in s   2… per row: body hash, decision id
-- Answer: per row '' or the id of another decision on the same facts; that pointer stays.

local answer = {}
for i = 1, #KEYS do
  local body, id = ARGV[2 * i], ARGV[2 * i + 1]
  local known = redis.call('GET', KEYS[i])
  if known and string.sub(known, 1, 32) == body and string.sub(known, 33) ~= id then
    answer[i] = string.sub(known, 33)
  else
    redis.call('SET', KEYS[i], body .. id, 'EX', ARGV[1])
    answer[i] = ''
  end
end
return answer
