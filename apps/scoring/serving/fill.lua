-- Put events among those that are kept of each party. Harmless when repeated: what is there stays as it is.
-- KEYS one per party   ARGV per key: packed events in order of time, its life in s
-- EVENT_BYTES and KEPT are put in; an event begins with its time, 17 to 24 is its transaction.
local number = struct.unpack
local function merged(told, kept)
  local known, found, one, other = {}, {}, 1, 1
  for place = 1, #kept, EVENT_BYTES do known[string.sub(kept, place + 16, place + 23)] = true end
  while one <= #told or other <= #kept do
    local a = one <= #told and number('<i8', told, one) or math.huge
    local b = other <= #kept and number('<i8', kept, other) or math.huge
    if a <= b then
      local event = string.sub(told, one, one + EVENT_BYTES - 1)
      if not known[string.sub(event, 17, 24)] then found[#found + 1] = event end
      one = one + EVENT_BYTES
    else
      found[#found + 1] = string.sub(kept, other, other + EVENT_BYTES - 1)
      other = other + EVENT_BYTES
    end
  end
  return table.concat(found)
end
for i = 1, #KEYS do
  local told, kept = ARGV[2 * i - 1], redis.call('GETRANGE', KEYS[i], 0, -1)
  local past = kept == '' and told or merged(told, kept)
  redis.call('SET', KEYS[i], string.sub(past, -KEPT), 'EX', ARGV[2 * i])
end
