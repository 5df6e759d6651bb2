-- Lists, riding with the gate's call behind activity.lua: what stands in them of some tokens, and until when.
-- KEYS behind the parties': a list each, as often as there are questions of it, ARGV[first + 2] in all
-- ARGV behind the parties': per list how many fields, the fields
-- Answer (`ridden`), behind the parties': per list its fields' values.
local asked, own = first + 3 + 3 * parties, first + parties + tonumber(ARGV[first + 2])
for i = first + parties, own - 1 do
  local count = tonumber(ARGV[asked])
  ridden[#ridden + 1] = call('HMGET', KEYS[i], unpack(ARGV, asked + 1, asked + count))
  asked = asked + count + 1
end
