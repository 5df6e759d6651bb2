-- In front of activity.lua where it goes without the gate: what the gate leaves it, and of the rows none a duplicate.
local call, first, ridden = redis.call, 1
local answer = setmetatable({}, {__index = function() return '' end})
