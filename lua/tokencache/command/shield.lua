--- How the command waits and asks: as blocking programs do, but Ctrl-C and its like wait while an
--- answer that may bring a new refresh token is on its way, until that is saved.

local blocking = require "tokencache.io.blocking"
local core = require "tokencache._core"
local options = require "tokencache.util.options"

local STEP = 0.2 -- seconds

local Transport = {}
Transport.__index = Transport

function Transport:request(request)
  local asks_for_token = (request.body or ""):find("grant_type=", 1, true) ~= nil
  core.process.hold_signals(asks_for_token)
  local response, err = self.within:request(request)
  if response and response.status ~= 200 then
    core.process.hold_signals(false)
  end
  return response, err
end

local shield = options.merge(blocking, { pasting = "--paste" })

function shield.transport(given)
  local within = blocking.transport(given)
  return setmetatable({ within = within, heartbeats = within.heartbeats,
    certificates = within.certificates }, Transport)
end

--- Who sleeps has nothing to lose: it is before a request, or the provider had nothing to give.
---@param seconds number
---@param step? number  so often Ctrl-C is looked after
function shield.sleep(seconds, step)
  step = step or STEP
  core.process.hold_signals(false)
  while seconds > 0 do
    core.sleep(math.min(seconds, step))
    seconds = seconds - step
  end
end

return shield
