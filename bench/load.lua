-- wrk's script: transactions that differ and name their parties, made before the clock starts.
-- Environment: KEY (an API key, "" for the peer), ADDRESS (the path).
local requests, number = {}, 0

function setup(thread)
  thread:set("seed", os.time())
end

local function transaction()
  local amount = math.random(100, 20000000) / 100
  local old = amount + math.random(0, 1) * math.random(1, 10000000) / 100
  local dest = math.random(0, 5000000) / 100
  return string.format(
    '{"step":%d,"type":"%s","amount":%.2f,"nameOrig":"C%d","oldbalanceOrg":%.2f,"newbalanceOrig":%.2f,'
      .. '"nameDest":"C%d","oldbalanceDest":%.2f,"newbalanceDest":%.2f}',
    math.random(401, 500), math.random(0, 1) == 0 and "TRANSFER" or "CASH_OUT", amount, math.random(1, 1000000),
    old, old - amount, math.random(1, 20000), dest, dest + amount)
end

function init()
  math.randomseed(seed)
  local headers = {["Content-Type"] = "application/json"}
  if os.getenv("KEY") ~= "" then headers["Authorization"] = "Bearer " .. os.getenv("KEY") end
  for i = 1, 20000 do
    requests[i] = wrk.format("POST", os.getenv("ADDRESS"), headers, '{"schema":"paysim","transaction":' .. transaction() .. "}")
  end
end

function request()
  number = number % #requests + 1
  return requests[number]
end

function done(summary, latency)
  local wrong = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format('{"requests":%d,"seconds":%.6f,"p50_ms":%.4f,"p99_ms":%.4f,"errors":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, wrong))
end
