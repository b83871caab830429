--- Logins that want the same port of this machine take turns: whoever waited may find the token
--- that the one before has brought.

local core = require "tokencache._core"
local errors = require "tokencache.error"

local POLL = 0.2 -- seconds

---@type table<integer, userdata>  of this Lua state, by port
local held = setmetatable({}, { __mode = "v" })

--- Reports whether to wait would be to wait for oneself: the other login is one of this thread,
--- which does not go on while it sleeps. An abandoned one is for the collector.
local function waits_for_itself(flow, port)
  if held[port] then
    collectgarbage()
  end
  return held[port] ~= nil and flow.io.sleep == core.sleep
end

--- Waits until it is this login's turn.
---@param flow tokencache.UserFlow
---@param redirect table   tokencache._redirect
---@param port integer
---@return { close: fun(self) }? turn
---@return tokencache.Error?
---@return boolean? waited
return function(flow, redirect, port)
  local deadline, waited = core.monotonic() + flow.login_timeout, false
  local turn = redirect.turn(port)
  if not turn and not waits_for_itself(flow, port) then
    io.stderr:write(("Another login is under way at port %d; waiting for it.\n"):format(port))
    waited = true
  end
  while not turn and waited do
    local _, err = flow.io.sleep(POLL)
    if err ~= nil then
      return nil, errors.wrap("config", err)
    elseif core.monotonic() >= deadline then
      return nil, errors.new("timeout", ("another login has kept port %d for %s seconds; end it, "
        .. "or try again later"):format(port, flow.login_timeout))
    end
    turn = redirect.turn(port)
  end
  held[port] = turn or held[port]
  return turn, nil, waited
end
