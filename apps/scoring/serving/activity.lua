-- Recent activity, riding with the gate's call: read what is known of each party, then put the present transaction in
-- its place by event time. The rules are those of engine/history.py (`seen_at`, `placed`); a test holds the two together.
-- KEYS from `first`: one per (transaction, party) and past
-- ARGV from `first`: 1 when it was received, ms   2 how many of the keys are pasts   3 how many behind them are lists
--       4… per key: the number of the transaction it is added for (0 = only read), its life in s, one packed event
-- EVENT_BYTES, LOOKED_AT, KEPT and TRIMMED_AT are put in as numbers of bytes; 17 to 24 is an event's transaction.
-- Answer (`ridden`): per key the packed events that are looked at, oldest first.
-- The usual event is the latest: it is appended, and no more is read than is looked at.
ridden = {}
local number, rows = struct.unpack, #answer - (first - 8)  -- what the gate says of each row stands last
local parties = tonumber(ARGV[first + 1])
local function upto(past, time)  -- where the events end that are dated no later, in bytes
  local low, high = 0, #past / EVENT_BYTES
  while low < high do
    local middle = math.floor((low + high) / 2)
    if number('<i8', past, middle * EVENT_BYTES + 1) <= time then low = middle + 1 else high = middle end
  end
  return low * EVENT_BYTES
end

for i = first, first + parties - 1 do
  local at = 3 * (i - first) + first + 3
  local key, row, event = KEYS[i], tonumber(ARGV[at]), ARGV[at + 2]
  local past = call('GETRANGE', key, -LOOKED_AT, -1)
  local size, time = #past, (number('<i8', event))
  local late = size > 0 and number('<i8', past, size - EVENT_BYTES + 1) > time
  local place, kept_from, seen = size, 0, past
  if late then
    past = call('GETRANGE', key, 0, -1)
    size, place, kept_from = #past, upto(past, time), upto(past, tonumber(ARGV[first])) - KEPT
    seen = string.sub(past, math.max(0, kept_from, place - LOOKED_AT) + 1, place)
  end
  ridden[i - first + 1] = seen

  local told = answer[rows + row]
  if row > 0 and (told == '' or string.sub(told, 1, 1) ~= 'D') then  -- a duplicate changes nothing
    local id = string.sub(event, 17, 24)
    local known = size > 0 and string.find(past, id, 1, true)
    while known and (known - 17) % EVENT_BYTES ~= 0 do known = string.find(past, id, known + 1, true) end
    local length = 0
    if known and string.sub(past, known - 16, known + EVENT_BYTES - 17) == event then
      -- it stands there already
    elseif known then
      past = call('GETRANGE', key, 0, -1)
      known = known + #past - size
      past = string.sub(past, 1, known - 17) .. string.sub(past, known + EVENT_BYTES - 16)
      place = upto(past, time)
      call('SET', key, string.sub(past, 1, place) .. event .. string.sub(past, place + 1))
    elseif not late then
      length = call('APPEND', key, event)
    elseif size < KEPT or place > kept_from then
      length = call('SETRANGE', key, place, event .. string.sub(past, place + 1))
    end
    if length > TRIMMED_AT then
      past = call('GETRANGE', key, 0, -1)
      local by_now, all = upto(past, tonumber(ARGV[first])), #past
      if math.max(by_now, all - by_now) > TRIMMED_AT then
        call('SET', key, string.sub(past, math.max(0, by_now - KEPT) + 1, by_now)
                         .. string.sub(past, math.max(by_now, all - KEPT) + 1))
      end
    end
    call('EXPIRE', key, ARGV[at + 1])
  end
end
