-- The gate: key, address, scope, idempotency, rate, duplicates, journal room and quota in one call, all or nothing.
-- A refused request changes no counter: everything is read and judged first, written last.
--
-- KEYS  1 key document   2 tenant's rate   3 key's own rate   4 quota of the month   5 idempotency claim
--       6 journal stream 7 storage-away flag   8… one per transaction
-- ARGV  1 units asked (0 = only look at key and rate)   2 scope ("" = any)   3 caller's address, 32 hex digits
--       4 body fingerprint ("" = no Idempotency-Key)   5 claim token   6 claim's life in ms   7 journal's limit
--       8… one per transaction: the body's hash ("" = no transaction id given)
-- Answer: {verdict, …}; see gate.py for each verdict's fields.
-- A rider (another room's script, gate.py) is put where it says so; it runs in this same call once the request is
-- admitted, and finds its keys and arguments behind these, from `first` on.
-- Functions are made only where they are needed: making one costs more than most commands.

local call = redis.call

local function admit()
  local f = call('HMGET', KEYS[1], 'status', 'nonce', 'key_id', 'tenant_id', 'schema', 'scopes', 'networks',
                 'expires_us', 'rate', 'key_rate', 'quota', 'policy', 'features', 'replacement', 'plan')
  local status = f[1]
  if not status or status == 'reload' then return {'miss', f[2] or ''} end
  if status ~= 'active' then return {status, f[14] or ''} end

  local clock = call('TIME')
  local now = clock[1] * 1000000 + clock[2]
  if f[8] ~= '' and now >= tonumber(f[8]) then return {'key_expired', f[14] or ''} end

  if f[7] ~= '' then
    -- networks: "<32 hex digits>/<bits> …" with IPv4 mapped into IPv6
    local allowed = false
    for network, bits in string.gmatch(f[7], '(%x+)/(%d+)') do
      local whole, rest = math.floor(bits / 4), bits % 4
      local same = string.sub(ARGV[3], 1, whole) == string.sub(network, 1, whole)
      if same and rest > 0 then
        local shift = 2 ^ (4 - rest)
        local ours = tonumber(string.sub(ARGV[3], whole + 1, whole + 1), 16)
        local theirs = tonumber(string.sub(network, whole + 1, whole + 1), 16)
        same = math.floor(ours / shift) == math.floor(theirs / shift)
      end
      if same then allowed = true break end
    end
    if not allowed then return {'address_refused'} end
  end
  local any_scope = ARGV[2] == ''
  if not any_scope and not string.find(f[6], ',' .. ARGV[2] .. ',', 1, true) then return {'scope_missing', f[6]} end
  if ARGV[2] == 'batch' and not string.find(f[13], ',batch,', 1, true) then return {'plan_lacks_feature'} end

  local claim = ARGV[4] ~= '' and call('GET', KEYS[5])
  if claim then
    -- "P<fingerprint><token>" while pending, "D<fingerprint><result>" when done; a fingerprint has 32 characters
    if string.sub(claim, 2, 33) ~= ARGV[4] then return {'idempotency_mismatch'} end
    if string.sub(claim, 1, 1) == 'P' then return {'idempotency_in_progress'} end
  end

  -- GCRA: a bucket of one minute's allowance, refilled evenly. `tat`: the theoretical arrival time after this request,
  -- µs of server time; `room`: what is left of the bucket then, in µs; below 0 it does not fit.
  local limit = tonumber(f[9])
  local interval = math.ceil(60000000 / limit)
  local tat = math.max(tonumber(call('GET', KEYS[2]) or 0), now) + interval
  local room, tight_tat, key_tat = interval * limit - (tat - now), tat, nil
  if f[10] ~= '' then
    local key_limit = tonumber(f[10])
    local key_interval = math.ceil(60000000 / key_limit)
    key_tat = math.max(tonumber(call('GET', KEYS[3]) or 0), now) + key_interval
    local key_room = key_interval * key_limit - (key_tat - now)
    if room >= 0 and (key_room < 0 or key_room / key_interval < room / interval) then
      limit, interval, room, tight_tat = key_limit, key_interval, key_room, key_tat
    end
  end
  if room < 0 then
    return {'rate_limited', limit, math.ceil(-room / 1000), math.ceil((tight_tat - interval - now) / 1000)}
  end
  local reset = math.ceil((tight_tat - now) / 1000)

  local asked, metered = tonumber(ARGV[1]), f[11] ~= ''  -- test-mode keys score really and are never metered
  local quota, used, units, rows, degraded = tonumber(f[11]) or 0, 0, asked, {}, 0
  if asked > 0 and not claim then
    for i = 8, 7 + asked do
      local row, known = '', ARGV[i] ~= '' and call('GET', KEYS[i])
      if known then  -- "<32 characters of body hash><decision id>"
        if string.sub(known, 1, 32) == ARGV[i] then
          row, units = 'D' .. string.sub(known, 33), units - 1
        else
          row = 'S' .. string.sub(known, 33)
        end
      end
      rows[i - 7] = row
    end
    if call('EXISTS', KEYS[7]) == 1 then degraded, units = 1, 0 end
    if call('XLEN', KEYS[6]) >= tonumber(ARGV[7]) then return {'journal_full'} end
    if metered then
      used = tonumber(call('GET', KEYS[4]))
      if not used then return {'quota_unknown', f[4]} end
      if units > 0 and used + units > quota then return {'quota_exceeded', used, quota, units, call('HGET', KEYS[1], 'stops_at')} end
    else
      units = 0
    end
  end

  call('SET', KEYS[2], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000) + 1)
  if key_tat then
    call('SET', KEYS[3], string.format('%.0f', key_tat), 'PX', math.ceil((key_tat - now) / 1000) + 1)
  end
  if asked > 0 and not claim then
    if units > 0 then used = call('INCRBY', KEYS[4], units) end
    if ARGV[4] ~= '' then call('SET', KEYS[5], 'P' .. ARGV[4] .. ARGV[5], 'PX', ARGV[6]) end
  end
  return {claim and 'replay' or 'admitted', f[3], f[4], f[5], f[12], limit, math.floor(room / interval), reset, used,
          quota, units, degraded, claim and string.sub(claim, 34) or '', any_scope and f[6] or '', f[15] or '',
          unpack(rows)}
end

local answer, first = admit(), 8 + tonumber(ARGV[1])
if answer[1] ~= 'admitted' or not KEYS[first] then return {answer} end
local ridden
-- RIDER
return {answer, ridden}
