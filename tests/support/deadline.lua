--- How calls keep to the time that they are given, on a machine that may be busy with other things:
--- no test says how late a call may be.

local core = require "tokencache._core"

local TRIES = 4

local deadline = {}

--- Calls, and fails unless that took the time given, or more. That it ends then shows where nothing
--- else would end it: give it a time that is much longer wherever there is another one.
---@param seconds number
---@param call fun(): any, any
---@return any, any  what the call returned
function deadline.takes(seconds, call)
  local start = core.monotonic()
  local result, err = call()
  local taken = core.monotonic() - start
  assert(taken > seconds * 0.99, ("%.3f s, where %.3f s were given: %s"):format(taken, seconds,
    tostring(err)))
  return result, err
end

--- For what succeeds within a time that a test must wait for: calls with that, and where it was not
--- enough, with four times as much.
---@param seconds number
---@param call fun(seconds: number): boolean  whether it was enough
function deadline.enough(seconds, call)
  for _ = 1, TRIES do
    if call(seconds) then
      return
    end
    seconds = seconds * 4
  end
  error(("%.1f s were not enough"):format(seconds / 4), 2)
end

return deadline
