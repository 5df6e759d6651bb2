-- The journal: append decisions, settle the Idempotency-Key's claim and note where to read them at once, in one call.
-- From here on the decisions are acknowledged: recorded once, billed once.
--
-- KEYS  1 journal stream   2 idempotency claim   3 journaled entries by day   4 quota of the month
--       5, 6… a pair per decision: where in the journal it stands, its transaction id's pointer
-- ARGV  1 claim we hold, "P<fingerprint><token>" ("" = none)   2 settle it with the first decision's id? ("1"/"0")
--       3 claim's life in s   4 place's life in s   5 pointer's life in s   6 day of the month
--       7 units reserved and not billed (to give back)   8 number of decisions
--       9… four per decision: journal entry, units, body hash ("" = no transaction id), decision id
--       behind them keys and arguments of a rider, which does its work unless the claim is lost
-- Answer: {'appended', …} with, per decision, '' or the id of the same facts journaled by somebody else meanwhile;
--         {'claim_lost'} when the claim is no longer ours: then nothing was written.

local claim = ARGV[1]
if claim ~= '' and redis.call('GET', KEYS[2]) ~= claim then return {'claim_lost'} end

local answer, refund, appended, decisions = {'appended'}, tonumber(ARGV[7]), 0, tonumber(ARGV[8])
for i = 0, decisions - 1 do
  local place, pointer = KEYS[5 + 2 * i], KEYS[6 + 2 * i]
  local entry, units, body, id = ARGV[9 + 4 * i], tonumber(ARGV[10 + 4 * i]), ARGV[11 + 4 * i], ARGV[12 + 4 * i]
  local known = body ~= '' and redis.call('GET', pointer)
  if known and string.sub(known, 1, 32) == body then
    answer[i + 2], refund = string.sub(known, 33), refund + units
  else
    -- the same id journaled before a crash is not journaled again
    if redis.call('EXISTS', place) == 0 then
      redis.call('SET', place, redis.call('XADD', KEYS[1], '*', 'e', entry), 'EX', ARGV[4])
      appended = appended + 1
    else
      refund = refund + units
    end
    if body ~= '' then redis.call('SET', pointer, body .. id, 'EX', ARGV[5]) end
    answer[i + 2] = ''
  end
end
if appended > 0 then
  redis.call('HINCRBY', KEYS[3], ARGV[6], appended)
  redis.call('EXPIRE', KEYS[3], 5356800)
end
if refund > 0 and redis.call('EXISTS', KEYS[4]) == 1 then redis.call('DECRBY', KEYS[4], refund) end
if claim ~= '' and ARGV[2] == '1' then
  local id = answer[2] ~= '' and 'dup:' .. answer[2] or ARGV[12]
  redis.call('SET', KEYS[2], 'D' .. string.sub(claim, 2, 33) .. id, 'EX', ARGV[3])
end
local first_key, first_argument = 5 + 2 * decisions, 9 + 4 * decisions
-- RIDER
return answer
