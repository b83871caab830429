--- Whether calls end at their deadline, on a machine that may be busy with other things.

local core = require "tokencache._core"

local TRIES = 5

local deadline = {}

--- Calls, and fails unless that took the time given, within a tenth. A process that got no
--- processor at the right moment is late through no fault of its own, so the best of a few calls
--- counts. None may be early.
---@param seconds number
---@param call fun(): any, any  may be called again
---@return any, any  what the last call returned
function deadline.takes(seconds, call)
  local result, err, taken
  for _ = 1, TRIES do
    local start = core.monotonic()
    result, err = call()
    taken = core.monotonic() - start
    assert(taken > seconds * 0.99, ("%.3f s, where %.3f s were given: %s"):format(taken, seconds,
      tostring(err)))
    if taken < seconds * 1.1 then
      return result, err
    end
  end
  error(("%.3f s at the last of %d tries, where %.3f s were given: %s"):format(taken, TRIES,
    seconds, tostring(err)), 2)
end

return deadline
