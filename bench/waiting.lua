--- The slowest of a hundred requests (p99) while others wait, and while none do.

local core = require "tokencache._core"

local waiting = {}

local REQUESTS = 300 -- in a turn

--- Seconds within which 99 of 100 requests were answered.
local function p99(ask)
  local times = {}
  for i = 1, REQUESTS do
    local start = core.monotonic()
    local status = ask()
    times[i] = core.monotonic() - start
    assert(status == 200, status)
  end
  table.sort(times)
  return times[math.ceil(REQUESTS * 0.99)]
end

local function nothing() end

local function p99_beside(ask, case)
  local requests = case.begin()
  local seconds = p99(ask)
  assert(not requests[#requests]:is_answered());
  (case.go_on or nothing)()
  for _, request in ipairs(requests) do
    case.check(request:finish())
  end
  return seconds
end

---@class Waiting
---@field begin fun(): NginxRequest[]   begins requests that wait; some may, until `go_on`
---@field go_on? fun()
---@field check fun(status: integer, body: string)  raises unless such a request went well

---@param rounds integer
---@param ask fun(): integer  sends one that does not wait, and returns the status
---@param case Waiting
---@return Contestant beside
---@return Contestant alone
function waiting.measure(rounds, ask, case)
  local alone, beside = { name = "none waiting", times = {} }, { times = {} }
  for round = 1, math.max(5, rounds) do
    if round % 2 == 1 then
      alone.times[round] = p99(ask)
    end
    beside.times[round] = p99_beside(ask, case)
    alone.times[round] = alone.times[round] or p99(ask)
  end
  return beside, alone
end

return waiting
