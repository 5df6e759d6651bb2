-- The gate: key, address, scope, idempotency, rate, duplicates, journal room and quota in one call, all or nothing.
-- A refused request changes no counter: everything is read and judged first, written last.
--
-- KEYS  1 key document   2 tenant's rate   3 key's own rate   4 quota of the month   5 idempotency claim
--       6 journal stream 7 storage-away flag   8… one per transaction
-- ARGV  1 units asked (0 = only look at key and rate)   2 scope   3 caller's address, 32 hex digits
--       4 body fingerprint ("" = no Idempotency-Key)   5 claim token   6 claim's life in ms   7 journal's limit
--       8… one per transaction: the body's hash ("" = no transaction id given)
-- Answer: {verdict, …}; see gate.py for each verdict's fields.
-- A rider (another room's script, gate.py) is put where it says so; it runs in this same call once the request is
-- admitted, and finds its keys and arguments behind these.

local function admit()
local FIELDS = {'status', 'nonce', 'key_id', 'tenant_id', 'schema', 'scopes', 'networks', 'expires_us', 'rate',
                'key_rate', 'quota', 'policy', 'features'}
local f = redis.call('HMGET', KEYS[1], unpack(FIELDS))
local status = f[1]
if not status or status == 'reload' then return {'miss', f[2] or ''} end
if status ~= 'active' then return {status} end

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
if f[8] ~= '' and now >= tonumber(f[8]) then return {'key_expired'} end

-- networks: "<32 hex digits>/<bits> …" with IPv4 mapped into IPv6
local function inside(address, network, bits)
  local whole = math.floor(bits / 4)
  if string.sub(address, 1, whole) ~= string.sub(network, 1, whole) then return false end
  local rest = bits % 4
  if rest == 0 then return true end
  local shift = 2 ^ (4 - rest)
  local a = tonumber(string.sub(address, whole + 1, whole + 1), 16)
  local n = tonumber(string.sub(network, whole + 1, whole + 1), 16)
  return math.floor(a / shift) == math.floor(n / shift)
end
if f[7] ~= '' then
  local allowed = false
  for network, bits in string.gmatch(f[7], '(%x+)/(%d+)') do
    if inside(ARGV[3], network, tonumber(bits)) then allowed = true break end
  end
  if not allowed then return {'address_refused'} end
end
if not string.find(f[6], ',' .. ARGV[2] .. ',', 1, true) then return {'scope_missing', f[6]} end
if ARGV[2] == 'batch' and not string.find(f[13], ',batch,', 1, true) then return {'plan_lacks_feature'} end

local claim = ARGV[4] ~= '' and redis.call('GET', KEYS[5])
if claim then
  -- "P<fingerprint><token>" while pending, "D<fingerprint><result>" when done; a fingerprint has 32 characters
  if string.sub(claim, 2, 33) ~= ARGV[4] then return {'idempotency_mismatch'} end
  if string.sub(claim, 1, 1) == 'P' then return {'idempotency_in_progress'} end
end

-- GCRA: a bucket of one minute's allowance, refilled evenly; `tat` = theoretical arrival time, µs of server time
local function rate(key, per_minute)
  local interval = math.ceil(60000000 / per_minute)
  local tat = math.max(tonumber(redis.call('GET', key) or '0'), now)
  local next_tat = tat + interval
  local room = interval * per_minute - (next_tat - now)
  local remaining = math.floor(math.max(room, -1) / interval)
  return {ok = room >= 0, tat = next_tat, remaining = math.max(remaining, 0), wait = math.max(-room, 0), limit = per_minute}
end
local tenant_rate = rate(KEYS[2], tonumber(f[9]))
local key_rate = f[10] ~= '' and rate(KEYS[3], tonumber(f[10]))
local tight = tenant_rate
if key_rate and (not key_rate.ok or (tenant_rate.ok and key_rate.remaining < tenant_rate.remaining)) then tight = key_rate end
local reset = math.ceil((tight.tat - now) / 1000)
if not tight.ok then return {'rate_limited', tight.limit, math.ceil(tight.wait / 1000), reset} end

local metered = f[11] ~= ''  -- test-mode keys score really and are never metered
local quota, used, units, rows, degraded = tonumber(f[11]) or 0, 0, tonumber(ARGV[1]), {}, 0
if not claim and units > 0 then
  for i = 8, 7 + units do
    local row, known = '', ARGV[i] ~= '' and redis.call('GET', KEYS[i])
    if known then  -- "<32 characters of body hash><decision id>"
      if string.sub(known, 1, 32) == ARGV[i] then
        row, units = 'D' .. string.sub(known, 33), units - 1
      else
        row = 'S' .. string.sub(known, 33)
      end
    end
    rows[#rows + 1] = row
  end
  if redis.call('EXISTS', KEYS[7]) == 1 then degraded, units = 1, 0 end
  if redis.call('XLEN', KEYS[6]) >= tonumber(ARGV[7]) then return {'journal_full'} end
  if not metered then units = 0 end
  local counter = metered and redis.call('GET', KEYS[4])
  if metered and not counter then return {'quota_unknown', f[4]} end
  used = tonumber(counter or '0')
  if units > 0 and used + units > quota then return {'quota_exceeded', used, quota, units} end
end

redis.call('SET', KEYS[2], string.format('%.0f', tenant_rate.tat), 'PX', math.ceil((tenant_rate.tat - now) / 1000) + 1)
if key_rate then
  redis.call('SET', KEYS[3], string.format('%.0f', key_rate.tat), 'PX', math.ceil((key_rate.tat - now) / 1000) + 1)
end
local verdict = 'admitted'
if claim then
  verdict = 'replay'
elseif tonumber(ARGV[1]) > 0 then
  if units > 0 then used = redis.call('INCRBY', KEYS[4], units) end
  if ARGV[4] ~= '' then redis.call('SET', KEYS[5], 'P' .. ARGV[4] .. ARGV[5], 'PX', ARGV[6]) end
end
return {verdict, f[3], f[4], f[5], f[12], tight.limit, tight.remaining, reset, used, quota, units, degraded,
        claim and string.sub(claim, 34) or '', unpack(rows)}
end

local function ride(first)
-- RIDER
end

local answer, first = admit(), 8 + tonumber(ARGV[1])
if answer[1] ~= 'admitted' or not KEYS[first] then return {answer} end
return {answer, ride(first)}
