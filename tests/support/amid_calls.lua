--- Lets finalizers run amid calls; for a script of its own, in whose small heap the collector comes
--- round often.
---
---     local amid = require "support.amid_calls"
---     amid.expect(expected, call, other_call)   -- other_call is what the finalizers do
---     amid.OURS, amid.OTHERS                    -- two long texts

local collector = require "support.collector"
local finalizer = require "support.finalizer"

local ENOUGH = 30 -- finalizers
local MOST = 3000 -- calls: the collector may fall in step with them, and so never run amid one

collector("pause", 1)
collector("stepmul", 10000)

local amid = { OURS = ("a"):rep(3000), OTHERS = ("B!"):rep(2500) }

--- Raises where the result is another than what is expected.
---@param expected any
---@param call fun(): any
---@param other_call fun()
function amid.expect(expected, call, other_call)
  local inside, count, calls = false, 0, 0
  local function finalize()
    if inside then
      inside, count = false, count + 1
      other_call()
      inside = true
    end
  end
  repeat
    calls = calls + 1
    for _ = 1, math.random(9) do finalizer(finalize) end
    local _ = ("x"):rep(math.random(999))
    inside = true
    local result = call()
    inside = false
    if result ~= expected then
      error("another result: " .. tostring(result))
    end
  until count >= ENOUGH or calls == MOST
end

return amid
