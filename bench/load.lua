-- wrk's script: POSTs the bodies of a file, one a line, in turn. bench/transactions.py makes them.
-- Environment: KEY (an API key, "" for the peer), ADDRESS (the path), BODIES (the file), METHOD.
local requests, number = {}, 0

function init()
  local headers = {["Content-Type"] = "application/json"}
  if os.getenv("KEY") ~= "" then headers["Authorization"] = "Bearer " .. os.getenv("KEY") end
  for body in io.lines(os.getenv("BODIES")) do
    requests[#requests + 1] = wrk.format(os.getenv("METHOD"), os.getenv("ADDRESS"), headers, body)
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
