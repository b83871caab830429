--- Logins that want the same port of this machine take turns: whoever waited may find the token
--- that the one before has brought. The turn is a lock on a file where only this user writes, or
--- where nobody can make it for them; what another user puts in its place is not waited for.

local core = require "tokencache._core"
local errors = require "tokencache.error"
local file_lock = require "tokencache.store.file_lock"

local POLL = 0.2 -- seconds

---@class tokencache.LoginTurn
---@field private path string
---@field private handle? string
---@field private guard? userdata  ends the lock when it is collected
local Turn = {}
Turn.__index = Turn

---@type table<string, tokencache.LoginTurn>  of this Lua state, by path
local held = setmetatable({}, { __mode = "v" })

--- Lets the next one begin; the second call does nothing.
function Turn:close()
  if self.handle then
    os.remove(self.path .. ".tokencache-lock") -- who has it open sees that it is gone
    core.file.unlock(self.handle)
    self.handle, self.guard = nil, nil
  end
end

local function path_of(port)
  local directory = os.getenv "XDG_RUNTIME_DIR" or os.getenv "TMPDIR" or "/tmp"
  return ("%s/tokencache-login-%d"):format(directory, port)
end

---@return tokencache.LoginTurn|false|nil  false: another login has it; nil: there are no turns
local function take(path)
  local handle, guard = file_lock.try(path, {})
  return handle and setmetatable({ path = path, handle = handle, guard = guard }, Turn) or handle
end

--- Reports whether to wait would be to wait for oneself: the other login is one of this thread,
--- which does not go on while it sleeps. An abandoned one is for the collector.
local function waits_for_itself(flow, path)
  if held[path] then
    collectgarbage()
  end
  return held[path] ~= nil and flow.io.sleep == core.sleep
end

--- Waits until it is this login's turn.
---@param flow tokencache.UserFlow
---@param port integer
---@return tokencache.LoginTurn?
---@return tokencache.Error?
---@return boolean? waited
return function(flow, port)
  local path = path_of(port)
  local deadline, waited = core.monotonic() + flow.login_timeout, false
  local turn = take(path)
  if turn == false and not waits_for_itself(flow, path) then
    io.stderr:write(("Another login is under way at port %d; waiting for it.\n"):format(port))
    waited = true
  end
  while turn == false and waited do
    local _, err = flow.io.sleep(POLL)
    if err ~= nil then
      return nil, errors.wrap("config", err)
    elseif core.monotonic() >= deadline then
      return nil, errors.new("timeout", ("another login has kept port %d for %s seconds; end it, "
        .. "or try again later"):format(port, flow.login_timeout))
    end
    turn = take(path)
  end
  held[path] = turn or held[path]
  return turn or nil, nil, waited
end
